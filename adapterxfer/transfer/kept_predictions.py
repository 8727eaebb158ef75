"""Predictions kept between commands, found again by the digests of what predicted them and of what was read.

The kinds that are searched keep none: each language's ranks hang on the vectors of the whole pool, all languages' or
another split's, and not on its own rows alone.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adapterxfer.features.cache import FeatureCache, code_digest
from adapterxfer.features.kept_rows import to_arrays
from adapterxfer.features.rows import FeatureSettings, Rows
from adapterxfer.files import sha256_json
from adapterxfer.modules.attach import Attached
from adapterxfer.modules.heads import Head
from adapterxfer.tasks import Task
from adapterxfer.tasks.examples import Example

_FOLDERS = ("backbone", "engine", "features", "modules", "tasks")  # the code that predictions come from
_LIBRARIES = ("adapters", "peft", "safetensors", "torch", "transformers")
_WITHOUT_EFFECT = ("base_model_name_or_path", "inference_mode", "peft_version")  # of a LoRA's configuration


class KeptPredictions(FeatureCache):
    """A folder of what one model, as it stands now, predicted; other models' predictions lie beside it.

    Args:
        folder: where the files are; it is made when the first is written.
        attached: the backbone with its modules. They must not change while this object is used.
        head: the head of the task.
        layer: the encoder is read after so many layers; None: all.
        limit: bytes that the files may take together, as ADAPTERXFER_CACHE_GB says by default. 0 keeps nothing.
    """

    def __init__(
        self, folder: Path, attached: Attached, head: Head, layer: int | None = None, limit: int | None = None
    ) -> None:
        super().__init__(folder, limit)
        layers = attached.backbone.layers
        self._model = [model_digest(attached, head), layers if layer is None else layer] if self.limit > 0 else []

    def key(self, task: Task, examples: Sequence[Example], rows: Rows, settings: FeatureSettings) -> str:
        """Return what the model's predictions of these examples are found by; empty where nothing is kept."""
        if self.limit <= 0:
            return ""
        arrays, meta = to_arrays(rows)
        return sha256_json(
            [
                "predictions",
                self._model,
                [task.digest(), task.kind, task.labels],
                self._digests(examples),
                [{name: _digest(array) for name, array in arrays.items()}, meta],
                asdict(settings),
            ]
        )

    def find(self, key: str) -> list[dict[str, Any]] | None:
        """Return the predictions kept under a key; None where there are none, or their file is damaged."""
        kept = self._fetch(key) if key else None
        if kept is None:
            return None
        lines = kept[0]["lines"].tobytes().decode("utf-8").split("\n")
        return [json.loads(line) for line in lines if line]

    def keep(self, key: str, predictions: Sequence[dict[str, Any]]) -> None:
        """Keep predictions under a key, as JSON lines."""
        if key:
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in predictions)
            self._keep(key, {"lines": np.frombuffer(lines.encode("utf-8"), np.uint8)}, {})


def model_digest(attached: Attached, head: Head) -> str:
    """Return the digest of all that a model's outputs hang on: weights, how they are put together, code, and machine.

    Of the backbone it takes the digest that the backbone has; every other tensor of the model is read.
    """
    model, backbone = attached.model, attached.backbone
    packed = [weight.codes for weight in backbone.quantised.values()]
    frozen = {tensor.data_ptr() for tensor in [*backbone.state.values(), *packed]}
    libraries = (*_LIBRARIES, "bitsandbytes") if packed else _LIBRARIES
    own = {name: value for name, value in model.named_parameters() if value.data_ptr() not in frozen}
    return sha256_json(
        [
            [backbone.digest, backbone.precision],
            {name: _tensor_digest(value) for name, value in own.items()},
            _structure(attached),
            [head.kind, head.hidden, head.labels, head.pooling],
            {name: _tensor_digest(value) for name, value in head.state_dict().items()},
            [code_digest(*_FOLDERS), *(version(library) for library in libraries)],
            _machine(next(model.parameters()).device),
        ]
    )


def _structure(attached: Attached) -> list[Any]:
    """Return how the modules stand together, and how each library has configured and switched on its own."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    model = attached.model
    of_peft = {
        name: {key: value for key, value in config.to_dict().items() if key not in _WITHOUT_EFFECT}
        for name, config in getattr(model.roberta, "peft_config", {}).items()
    }
    layers = {
        name: [layer.active_adapters, getattr(layer, "scaling", {}), layer.merged_adapters, layer.disable_adapters]
        for name, layer in model.named_modules()
        if isinstance(layer, BaseTunerLayer)
    }
    config = model.adapters_config
    libraries = [_plain(config.to_dict()), str(config.active_setup), _plain(of_peft), _plain(layers)]
    return [str(attached.structure), *libraries]


def _machine(device: torch.device) -> list[Any]:
    """Return what may change the last bit of a sum, and with it a score that is written out."""
    where = [torch.cuda.get_device_name(device)] if device.type == "cuda" else [torch.backends.cpu.get_cpu_capability()]
    return [device.type, *where, torch.get_num_threads(), torch.get_float32_matmul_precision()]


def _plain(value: Any) -> Any:
    """Return a configuration as JSON values; sets have no order of their own."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _tensor_digest(tensor: torch.Tensor) -> list[Any]:
    plain = tensor.detach().cpu().contiguous()
    content = plain.reshape(-1).view(torch.uint8).numpy()
    return [str(plain.dtype), list(plain.shape), hashlib.sha256(content.data).hexdigest()]


def _digest(array: np.ndarray) -> list[Any]:
    return [array.dtype.name, list(array.shape), hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()]
