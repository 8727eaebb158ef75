"""Reading and writing modules in their libraries' own formats, safetensors only, every key accounted for.

A bottleneck is what `adapters` writes (`AutoAdapterModel.load_adapter(folder, use_safetensors=True)` reads it), a LoRA
what `peft` writes for a plain `XLMRobertaModel` (`PeftModel.from_pretrained` reads it).
"""

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from adapterxfer.errors import RunError, UserError
from adapterxfer.modules.resolve import ModuleSource

_PEFT_PREFIX = "base_model.model."


def parameter_pattern(kind: str, name: str) -> re.Pattern[str]:
    """Return what matches the parameter names of the module `name` of `kind` (bottleneck, lora or fusion)."""
    escaped = re.escape(name)
    return re.compile(
        {
            "bottleneck": rf"\.(adapters|invertible_adapters)\.{escaped}\.",
            "lora": rf"\.lora_\w+\.{escaped}(\.|$)",
            "fusion": rf"\.adapter_fusion_layer\.{escaped}\.",
        }[kind]
    )


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a safetensors file.

    Raises:
        UserError: when it is damaged.
    """
    try:
        return load_file(path)
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
    parameters = dict(model.named_parameters())
    for name, tensor in tensors.items():
        if parameters[name].shape != tensor.shape:
            shapes = f"{tuple(tensor.shape)}, not {tuple(parameters[name].shape)}"
            raise UserError(f"{origin}: tensor {name} has shape {shapes}: it was made for another backbone.")
        parameters[name].data.copy_(tensor)


def names_of(model: torch.nn.Module, kind: str, name: str) -> list[str]:
    """Return the parameter names of one module in `model`."""
    pattern = parameter_pattern(kind, name)
    return [parameter for parameter, _ in model.named_parameters() if pattern.search(parameter)]


def load_bottleneck(model: Any, source: ModuleSource, name: str) -> None:
    """Add the bottleneck of `source` to `model` under `name`.

    Raises:
        UserError: when its tensors are not exactly those that its configuration asks for.
    """
    from adapters import BnConfig

    try:
        model.add_adapter(name, config=BnConfig(**source.config))
    except (TypeError, ValueError) as error:
        raise UserError(f"{source.folder / 'adapter_config.json'}: adapters refuses it: {error}.") from None
    tensors = read_tensors(source.weights)
    # the file carries the name the module was saved under, whatever it is called here
    renamed = {re.sub(r"\.adapters\.[^.]+\.", f".adapters.{name}.", key): value for key, value in tensors.items()}
    fill(model, renamed, names_of(model, "bottleneck", name), source.weights)


def save_bottleneck(model: Any, name: str, folder: Path) -> None:
    """Write the bottleneck `name` as `adapters` does."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        model.save_adapter(str(folder), name, use_safetensors=True, with_head=False)
    except (SafetensorError, OSError) as error:
        raise RunError(f"{folder} could not be written: {error}.") from error


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


def inject_lora(model: Any, config: Any, name: str) -> None:
    """Put a LoRA of `config` into the encoder of `model` under `name`, beside the ones it has."""
    from peft import inject_adapter_in_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "multiple adapters": that is what is wanted here
        inject_adapter_in_model(config, model.roberta, adapter_name=name)
    for parameter_name, parameter in model.named_parameters():
        if parameter_pattern("lora", name).search(parameter_name):
            parameter.data = parameter.data.float()  # peft copies the frozen layer's type; what trains is fp32 here


def load_lora(model: Any, source: ModuleSource, name: str) -> None:
    """Add the LoRA of `source` to `model` under `name`.

    Raises:
        UserError: when its tensors are not exactly those that its configuration asks for.
    """
    from peft import LoraConfig

    config = LoraConfig.from_pretrained(str(source.folder))
    config.base_model_name_or_path = None
    inject_lora(model, config, name)
    plain = {}
    for key, value in read_tensors(source.weights).items():
        inner = key.removeprefix(_PEFT_PREFIX).removeprefix("roberta.")
        target, separator, rest = inner.partition(".lora_")
        word, dot, suffix = rest.partition(".")  # lora_A . weight, or lora_magnitude_vector alone
        if word == "magnitude_vector":
            dot, suffix = ".", suffix or "weight"
        plain[f"roberta.{target}{separator}{word}.{name}{dot}{suffix}" if separator else key] = value
    fill(model, plain, names_of(model, "lora", name), source.weights)


def save_lora(model: Any, name: str, folder: Path, backbone_name: str) -> None:
    """Write the LoRA `name` so that `PeftModel.from_pretrained(XLMRobertaModel, folder)` gives the same outputs."""
    from peft import get_peft_model_state_dict

    tensors = get_peft_model_state_dict(model.roberta, adapter_name=name)
    write_tensors(folder / "adapter_model.safetensors", {_PEFT_PREFIX + key: value for key, value in tensors.items()})
    config = model.roberta.peft_config[name]
    before = config.inference_mode, config.base_model_name_or_path
    config.inference_mode, config.base_model_name_or_path = True, backbone_name
    try:
        config.save_pretrained(str(folder))
    except OSError as error:
        raise RunError(f"{folder} could not be written: {error}.") from error
    finally:
        config.inference_mode, config.base_model_name_or_path = before
