"""The frozen prefix: what the layers below everything that trains make of a data set, computed once.

It is the same in every epoch, for every seed and every composition above it, so it is kept: in a memory-mapped file
that is found by the digest of all it was made from, and believed only if it is exactly what was written.
"""

import contextlib
import hashlib
import json
import re
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adapterxfer.backbone.cache import cache_folder
from adapterxfer.engine.encoder import encode
from adapterxfer.engine.memory import free_memory
from adapterxfer.engine.prefix_store import one_at_a_time, open_kept
from adapterxfer.errors import RunError
from adapterxfer.features.batching import collate, evaluation_batches, unique_rows
from adapterxfer.features.cache import code_digest, limit_of_environment
from adapterxfer.features.ragged import Ragged, before
from adapterxfer.features.rows import Rows
from adapterxfer.features.store import make_room, storing
from adapterxfer.files import sha256_json
from adapterxfer.modules import storage
from adapterxfer.modules.attach import Attached
from adapterxfer.modules.expression import Average, Expression, Fuse, Parallel, Stack, leaves
from adapterxfer.progress import progress

LIMIT = "ADAPTERXFER_PREFIX_GB"
_DEFAULT_GB = 20.0
_SUFFIX = ".prefix"
_TOKEN_BUDGET = 4096
_HEADER = 1024  # bytes of a file that are no arrays
_CODE = ("backbone", "engine", "kernels", "modules")
_LIBRARIES = ("adapters", "peft", "transformers")
_WITHOUT_EFFECT = ("base_model_name_or_path", "inference_mode", "peft_version")  # in the configuration of a LoRA
_LAYER = re.compile(r"\.encoder\.layer\.(\d+)\.")
_STORED = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "uint16"}  # numpy has no bfloat16

Append = Callable[[np.ndarray], None]


@dataclass(frozen=True, eq=False)
class Prefix:
    """The output of the first `depth` layers for every row of a data set.

    Attributes:
        depth: how many layers it is the output of; `encode(start=depth, hidden=...)` goes on from it.
        states: ragged over the rows, [tokens, hidden] each; equal rows share theirs. bfloat16 stands as uint16.
        dtype: the type of the hidden states, the precision's.
    """

    depth: int
    states: Ragged
    dtype: torch.dtype

    def gather(self, indices: Sequence[int], width: int | None = None) -> Tensor:
        """Return the hidden states [rows, width, hidden] of these rows on the CPU, zeros on the right.

        `width` is that of the longest row by default.
        """
        chosen = self.states.take(np.asarray(indices, np.int64))
        width = int(chosen.lengths.max()) if width is None else width
        padded = np.empty((len(chosen), width, chosen.flat.shape[1]), chosen.flat.dtype)
        for place, row in enumerate(chosen):
            padded[place, : len(row)] = row
            padded[place, len(row) :] = 0
        return torch.from_numpy(padded).view(self.dtype)


_IN_MEMORY: "weakref.WeakValueDictionary[str, Prefix]" = weakref.WeakValueDictionary()  # what no file could be made of


def prefix_depth(attached: Attached) -> int:
    """Return how many layers lie below the first that holds anything of what trains; 0 where nothing trains.

    A finished run counts as while it was trained. Modules at the embeddings leave no prefix.
    """
    training = [part for part in attached.parts if part.trains]
    patterns = [storage.parameter_pattern(part.kind, part.name) for part in training]
    if attached.fusion:
        # the library puts a fusion into every layer, but it only acts where there are bottlenecks to mix
        bottlenecks = [part for part in attached.parts if part.kind == "bottleneck"]
        patterns += [storage.parameter_pattern(part.kind, part.name) for part in bottlenecks]
    if attached.lora_fusion:
        patterns.append(storage.parameter_pattern("lora_fusion", attached.lora_fusion))
    every = [storage.parameter_pattern(part.kind, part.name) for part in attached.parts]
    lowest = attached.backbone.layers
    for name, _ in attached.model.named_parameters():
        if any(pattern.search(name) for pattern in every) and not _LAYER.search(name):
            return 0
        if any(pattern.search(name) for pattern in patterns):
            lowest = min(lowest, _layer(name))
    return lowest if patterns and lowest < attached.backbone.layers else 0


def prefix_key(attached: Attached, rows: Rows, depth: int) -> str:
    """Return the digest of everything that the output of the first `depth` layers hangs on.

    That is the backbone and its precision, the tokens, the frozen modules in those layers and how they stand together,
    and the code. What stands above, its weights and the names of modules have no part in it.
    """
    tokens = hashlib.sha256(np.ascontiguousarray(rows.lengths(), np.int64).data)
    for row in rows.input_ids:
        tokens.update(np.ascontiguousarray(row, np.int32).data)
    device = next(attached.model.parameters()).device
    return sha256_json(
        [
            [attached.backbone.digest, attached.backbone.precision, device.type, depth],
            [len(rows), tokens.hexdigest()],
            _frozen_modules(attached, depth),
            [code_digest(*_CODE), torch.__version__, *map(version, _LIBRARIES)],
        ]
    )


def kept_prefix(
    attached: Attached, rows: Rows, *, folder: Path | None = None, limit: int | None = None, label: str = "prefix"
) -> Prefix | None:
    """Return the output of the frozen prefix for these rows, from its file if there is a sound one, else computed.

    Two processes that want the same wait for one another. A disk that refuses the file costs the time saved: the
    outputs then stay in memory if they take no more than half of what is free. `attached` is left in the mode it had.

    Args:
        attached: the backbone with its modules.
        rows: the encoded examples.
        folder: where the files are; "prefix" in the cache folder by default.
        limit: bytes that they may take together, those used longest ago go first; 0 keeps nothing. By default what
            ADAPTERXFER_PREFIX_GB says (20 gigabytes where it is not set).
        label: what the progress line says.

    Returns:
        None where no layer is frozen, and where the outputs have no room.

    Raises:
        UserError: when ADAPTERXFER_PREFIX_GB is not a number of gigabytes.
    """
    limit = limit_of_environment(LIMIT, _DEFAULT_GB) if limit is None else limit
    depth = prefix_depth(attached)
    if depth == 0 or limit <= 0 or not len(rows):
        return None
    key = prefix_key(attached, rows, depth)
    held = _IN_MEMORY.get(key)
    if held is not None:
        return held
    folder = cache_folder() / "prefix" if folder is None else folder
    path = folder / f"{key}{_SUFFIX}"
    kept = open_kept(path, key)
    if kept is None:
        plan = _Plan(attached, rows, depth, label)
        if plan.size > limit:
            return None
        with one_at_a_time(folder / f"{key}.lock", f"{label}: waiting for another process, which computes it") as alone:
            kept = open_kept(path, key)
            if kept is None:
                with contextlib.suppress(RunError, OSError):
                    for half in folder.glob(f".{path.name}.*.tmp") if alone else ():
                        half.unlink()  # what a killed process left; it may be large
                    _make_file(path, key, plan, limit)
                kept = open_kept(path, key)
        if kept is None:
            if plan.size > free_memory() // 2:
                return None
            prefix = _IN_MEMORY[key] = plan.in_memory()
            return prefix
    states = Ragged(kept["hidden"], kept["starts"], kept["lengths"])
    return Prefix(depth, states, attached.backbone.policy.stream_dtype)


class _Plan:
    """What is to be computed, and how it will lie: equal rows once, in the order in which they are computed."""

    def __init__(self, attached: Attached, rows: Rows, depth: int, label: str) -> None:
        self.attached, self.rows, self.depth, self.label = attached, rows, depth, label
        self.dtype = attached.backbone.policy.stream_dtype
        unique, inverse = unique_rows(rows)
        self.batches = evaluation_batches(rows, _TOKEN_BUDGET, unique)
        order = np.array([index for batch in self.batches for index in batch], np.int64)
        self.lengths = np.asarray(rows.lengths(), np.int64)
        firsts = np.zeros(len(rows), np.int64)
        firsts[order] = before(self.lengths[order])
        self.starts = firsts[np.asarray(unique, np.int64)[inverse]]
        self.shape = int(self.lengths[order].sum()), attached.backbone.hidden_size
        states = self.shape[0] * self.shape[1] * self.dtype.itemsize
        self.size = _HEADER + self.starts.nbytes + self.lengths.nbytes + states

    @torch.inference_mode()
    def compute(self, append: Append) -> None:
        """Hand over the hidden states [tokens, hidden] of batch after batch."""
        model, backbone = self.attached.model, self.attached.backbone
        device = next(model.parameters()).device
        trained = any(module.training for module in model.modules())
        self.attached.set_training(False)
        try:
            with progress(self.label, sum(map(len, self.batches)), "rows") as bar:
                for indices in self.batches:
                    batch = collate(self.rows, indices, backbone.tokenizer.pad_token_id, targets=False)
                    mask = batch["attention_mask"].to(device)
                    hidden = encode(self.attached, batch["input_ids"].to(device), mask, layer=self.depth)
                    tokens = hidden[mask.bool()].to(self.dtype).cpu()
                    append(tokens.view(getattr(torch, _STORED[self.dtype])).numpy())
                    bar.advance(len(indices))
        finally:
            self.attached.set_training(trained)

    def in_memory(self) -> Prefix:
        """Compute everything into one array."""
        flat = np.empty(self.shape, _STORED[self.dtype])
        done = 0

        def append(tokens: np.ndarray) -> None:
            nonlocal done
            flat[done : done + len(tokens)] = tokens
            done += len(tokens)

        self.compute(append)
        return Prefix(self.depth, Ragged(flat, self.starts, self.lengths), self.dtype)


def _make_file(path: Path, key: str, plan: _Plan, limit: int) -> None:
    """Compute everything straight into a file, which is there when it is whole."""
    with contextlib.suppress(OSError):
        make_room(path.parent, _SUFFIX, limit - plan.size)
    layout = {
        "starts": ("int64", plan.starts.shape),
        "lengths": ("int64", plan.lengths.shape),
        "hidden": (_STORED[plan.dtype], plan.shape),
    }
    with storing(path, key, layout, {}) as append:
        append(plan.starts)
        append(plan.lengths)
        plan.compute(append)
    make_room(path.parent, _SUFFIX, limit, newest=path)


def _layer(name: str) -> int:
    """Return the layer that a parameter stands in, by its name; -1 where in none."""
    found = _LAYER.search(name)
    return int(found.group(1)) if found else -1


def _frozen_modules(attached: Attached, depth: int) -> list[Any]:
    """Return the frozen modules in the first `depth` layers, without their names, and how they stand together."""
    if attached.structure is None:
        return []
    parts = {part.name: part for part in attached.parts}
    found: list[Any] = []
    numbers: dict[str, int] = {}
    for leaf, _ in leaves(attached.structure):
        part = parts[str(leaf)]
        pattern = storage.parameter_pattern(part.kind, part.name)
        tensors = {
            pattern.sub(_nameless, name): _digest(parameter)
            for name, parameter in attached.model.named_parameters()
            if pattern.search(name) and 0 <= _layer(name) < depth
        }
        if tensors:
            numbers[part.name] = len(found)
            found.append([part.kind, _configuration(attached, part.kind, part.name), tensors])
    return [_numbered(attached.structure, numbers), found] if found else []


def _numbered(structure: Expression, numbers: dict[str, int]) -> str:
    """Return the composition of the parts that have a number, by these numbers; empty where none has one.

    What an Average makes hangs on the weights of all, and on which of them are here.
    """
    if not isinstance(structure, Stack | Fuse | Average | Parallel):
        return str(numbers.get(str(structure), ""))
    children = [_numbered(child, numbers) for child in structure.children]
    if isinstance(structure, Average | Parallel) and any(children):
        return f"{type(structure).__name__}({', '.join(children)}; {getattr(structure, 'shares', '')})"
    held = [text for text in children if text]
    return f"{type(structure).__name__}({', '.join(held)})" if len(held) > 1 else "".join(held)


def _nameless(match: re.Match[str]) -> str:
    """Return where in a layer a tensor of a module stands, without the name of the module, which comes last."""
    return match.group().rstrip(".").rpartition(".")[0] + ".*."


def _configuration(attached: Attached, kind: str, name: str) -> Any:
    """Return what a module's library has configured, as JSON values: scaling, activation and place are no tensors."""
    if kind in storage.PEFT_KINDS:
        given = attached.model.roberta.peft_config[name].to_dict()
    else:
        given = attached.model.adapters_config.get(name).to_dict()
    kept = {key: value for key, value in given.items() if key not in _WITHOUT_EFFECT}
    return json.loads(json.dumps(kept, default=lambda value: sorted(value) if isinstance(value, set) else str(value)))


def _digest(parameter: Tensor) -> list[Any]:
    content = parameter.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return [str(parameter.dtype), list(parameter.shape), hashlib.sha256(content.data).hexdigest()]
