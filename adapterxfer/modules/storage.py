"""Reading and writing modules in their libraries' own formats, safetensors only, every key accounted for.

A bottleneck or prefix is what `adapters` writes (`AutoAdapterModel.load_adapter(folder, use_safetensors=True)` reads
it), a LoRA or (IA)3 what `peft` writes for a plain `XLMRobertaModel` (`PeftModel.from_pretrained` reads it).
"""

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from adapterxfer.errors import RunError, UserError
from adapterxfer.files import write_json
from adapterxfer.modules.resolve import ModuleSource

PEFT_PREFIX = "base_model.model."
PEFT_KINDS = ("lora", "ia3")
_PATTERNS = {
    "bottleneck": r"\.(adapters|invertible_adapters|shared_parameters)\.NAME\.",
    "prefix": r"\.prefix_tunings\.NAME\.",
    "lora": r"\.lora_\w+\.NAME(\.|$)",
    "ia3": r"\.ia3_l\.NAME$",
    "fusion": r"\.adapter_fusion_layer\.NAME\.",
    "lora_fusion": r"\.delta_fusion\.NAME\.",
}
_PLACES = re.compile(r"\.(adapters|invertible_adapters|shared_parameters|prefix_tunings)\.[^.]+\.")
_PREFIX_POOL = "roberta.prefix_tuning.prefix_tunings."  # each layer of the model has the pool under a name of its own


def parameter_pattern(kind: str, name: str) -> re.Pattern[str]:
    """Return what matches the parameter names of the module `name` of `kind`, one of `_PATTERNS`."""
    return re.compile(_PATTERNS[kind].replace("NAME", re.escape(name)))


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a safetensors file.

    Raises:
        UserError: when it is damaged.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} cannot be read as safetensors ({error}); the file is damaged or incomplete.") from None


def tensor_names(path: Path) -> list[str]:
    """Return the names in a safetensors file.

    Raises:
        UserError: when it is damaged.
    """
    try:
        with safe_open(path, "pt") as stream:
            return list(stream.keys())
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} cannot be read as safetensors ({error}); the file is damaged or incomplete.") from None


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write a safetensors file.

    Raises:
        RunError: when the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        save_file({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}, path)
    except (SafetensorError, OSError) as error:
        raise RunError(f"{path} could not be written: {error}.") from error


def fill(model: torch.nn.Module, tensors: dict[str, torch.Tensor], expected: Iterable[str], origin: Path) -> None:
    """Copy `tensors` into the parameters `expected` of `model`, which must match one to one in name and shape.

    Raises:
        UserError: naming the first missing, unexpected or misshapen tensor.
    """
    wanted = set(expected)
    for word, names in (("misses", wanted - set(tensors)), ("holds the unexpected", set(tensors) - wanted)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise UserError(f"{origin} {word} tensor {min(names)}{more}: it was made for another model or module.")
    for name, tensor in tensors.items():
        parameter = model.get_parameter(name)
        if parameter.shape != tensor.shape:
            shapes = f"{tuple(tensor.shape)}, not {tuple(parameter.shape)}"
            raise UserError(f"{origin}: tensor {name} has shape {shapes}: it was made for another backbone.")
        parameter.data.copy_(tensor)


def names_of(model: torch.nn.Module, kind: str, name: str) -> list[str]:
    """Return the parameter names of one module in `model`."""
    pattern = parameter_pattern(kind, name)
    if kind == "prefix":
        everything = model.named_parameters(remove_duplicate=False)
        return [parameter for parameter, _ in everything if parameter.startswith(f"{_PREFIX_POOL}{name}.")]
    return [parameter for parameter, _ in model.named_parameters() if pattern.search(parameter)]


def load_bottleneck(model: Any, source: ModuleSource, name: str) -> None:
    """Add the bottleneck or prefix of `source` to `model` under `name`.

    Raises:
        UserError: when its tensors are not exactly those that its configuration asks for.
    """
    from adapters import AdapterConfig

    try:
        model.add_adapter(name, config=AdapterConfig.load(source.config))
    except (TypeError, ValueError) as error:
        raise UserError(f"{source.folder / 'adapter_config.json'}: adapters refuses it: {error}.") from None
    fill(model, renamed(source.tensors(), name), names_of(model, source.kind, name), source.weights)


def renamed(tensors: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a module of `adapters` under another name than it was saved under."""
    return {_PLACES.sub(rf".\1.{name}.", key): value for key, value in tensors.items()}


def save_bottleneck(model: Any, name: str, folder: Path) -> None:
    """Write the bottleneck `name` as `adapters` does."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        model.save_adapter(str(folder), name, use_safetensors=True, with_head=False)
    except (SafetensorError, OSError) as error:
        raise RunError(f"{folder} could not be written: {error}.") from error


def save_prefix(model: Any, name: str, folder: Path) -> None:
    """Write the prefix `name` so that `adapters` loads it.

    The library itself cannot write one as safetensors: every layer holds the same tensors.
    """
    from adapters.configuration.model_adapters_config import build_full_config

    settings = model.adapters_config.get(name)
    config = build_full_config(
        settings,
        model.config,
        model_name=model.model_name or "",
        name=name,
        model_class=type(model).__name__,
    )
    write_json(folder / "adapter_config.json", config)
    tensors = {key: model.get_parameter(key) for key in names_of(model, "prefix", name)}
    write_tensors(folder / "adapter.safetensors", tensors)


def load_fusion(model: Any, folder: Path, name: str) -> None:
    """Fill the fusion layer `name` of `model`, which was added already, from a folder written by `save_fusion`."""
    path = folder / "model_adapter_fusion.safetensors"
    pattern = r"\.adapter_fusion_layer\.[^.]+\."
    tensors = {
        re.sub(pattern, f".adapter_fusion_layer.{name}.", key): value for key, value in read_tensors(path).items()
    }
    fill(model, tensors, names_of(model, "fusion", name), path)


def save_fusion(model: Any, name: str, folder: Path) -> None:
    """Write the AdapterFusion `name` as `adapters` does."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        model.save_adapter_fusion(str(folder), name, use_safetensors=True)
    except (SafetensorError, OSError) as error:
        raise RunError(f"{folder} could not be written: {error}.") from error


def inject_peft(model: Any, config: Any, name: str) -> None:
    """Put a module of `peft` into the encoder of `model` under `name`, beside the ones it has."""
    from peft import inject_adapter_in_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "multiple adapters": that is what is wanted here
        inject_adapter_in_model(config, model.roberta, adapter_name=name)
    patterns = [parameter_pattern(kind, name) for kind in ("lora", "ia3")]
    for parameter_name, parameter in model.named_parameters():
        if any(pattern.search(parameter_name) for pattern in patterns):
            parameter.data = parameter.data.float()  # peft copies the frozen layer's type; what trains is fp32 here


def load_peft(model: Any, source: ModuleSource, name: str) -> None:
    """Add the LoRA or (IA)3 of `source` to `model` under `name`.

    Raises:
        UserError: when its tensors are not exactly those that its configuration asks for.
    """
    inject_peft(model, peft_config(source), name)
    plain = {}
    for key, value in source.tensors().items():
        inner = key.removeprefix(PEFT_PREFIX).removeprefix("roberta.")
        if inner.endswith(".ia3_l"):
            plain[f"roberta.{inner}.{name}"] = value
            continue
        target, separator, rest = inner.partition(".lora_")
        word, dot, suffix = rest.partition(".")  # lora_A . weight, or lora_magnitude_vector alone
        if word == "magnitude_vector":
            dot, suffix = ".", suffix or "weight"
        plain[f"roberta.{target}{separator}{word}.{name}{dot}{suffix}" if separator else key] = value
    fill(model, plain, names_of(model, source.kind, name), source.weights)


def peft_config(source: ModuleSource) -> Any:
    """Return the configuration of a module of `peft`, free of the backbone it was saved with."""
    from peft import IA3Config, LoraConfig

    known = IA3Config if source.kind == "ia3" else LoraConfig
    config = (
        known.from_peft_type(**source.config)
        if source.merged is not None
        else known.from_pretrained(str(source.folder))
    )
    config.base_model_name_or_path = None
    return config


def save_peft(model: Any, name: str, folder: Path, backbone_name: str) -> None:
    """Write the module `name` of `peft` so that `PeftModel.from_pretrained(XLMRobertaModel, folder)` loads it."""
    from peft import get_peft_model_state_dict

    tensors = get_peft_model_state_dict(model.roberta, adapter_name=name)
    config = model.roberta.peft_config[name]
    # a LoRA Fuse stands on the same maps, and is no part of the module
    own = {PEFT_PREFIX + key: value for key, value in tensors.items() if ".delta_fusion." not in key}
    write_peft(folder, own, config, backbone_name)


def write_peft(folder: Path, tensors: dict[str, torch.Tensor], config: Any, backbone_name: str | None) -> None:
    """Write the tensors and the configuration of a module of `peft`."""
    write_tensors(folder / "adapter_model.safetensors", tensors)
    before = config.inference_mode, config.base_model_name_or_path
    config.inference_mode, config.base_model_name_or_path = True, backbone_name
    try:
        config.save_pretrained(str(folder))
    except OSError as error:
        raise RunError(f"{folder} could not be written: {error}.") from error
    finally:
        config.inference_mode, config.base_model_name_or_path = before


def load_module(model: Any, source: ModuleSource, name: str) -> None:
    """Add a trained module to `model` under `name`, whatever its kind."""
    (load_peft if source.kind in PEFT_KINDS else load_bottleneck)(model, source, name)


def save_module(model: Any, kind: str, name: str, folder: Path, backbone_name: str) -> None:
    """Write the module `name` of `kind` in its library's own format."""
    if kind in PEFT_KINDS:
        save_peft(model, name, folder, backbone_name)
    else:
        (save_prefix if kind == "prefix" else save_bottleneck)(model, name, folder)
