"""LoRA Fuse: a learned mixture of frozen LoRAs on one linear map, as AdapterFusion mixes bottlenecks.

On a map W the LoRAs give the updates d_k = s_k B_k A_k x. The mixture adds sum_k w_k d_k to W x:

    gate=attention   w = softmax(q . K d_k / sqrt(size)) per token, with q = Q x; the sum is then scaled by `value`
    gate=weights     w = softmax(logits), the same for every token

Attention runs in `size` dimensions rather than AdapterFusion's full width, and the value map is a diagonal: on XLM-R
Large that is 6 million numbers for queries and values instead of 75. K starts at zero and `value` at one, so training
starts from the plain average.
"""

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adapterxfer.errors import UserError
from adapterxfer.files import read_json, write_json, write_text
from adapterxfer.modules import storage

SIZE = 64
_FORMAT = 1
_WEIGHTS = "lora_fusion.safetensors"
_CONFIG = "lora_fusion.json"


class LoraFusion(nn.Module):
    """The gate of one linear map: `names` are the LoRAs it mixes, in order."""

    def __init__(self, names: list[str], gate: str, inputs: int, outputs: int) -> None:
        super().__init__()
        self.names, self.gate = list(names), gate
        if gate == "weights":
            self.logits = nn.Parameter(torch.zeros(len(names)))
        else:
            self.query = nn.Parameter(torch.empty(SIZE, inputs).normal_(std=inputs**-0.5))
            self.key = nn.Parameter(torch.zeros(SIZE, outputs))
            self.value = nn.Parameter(torch.ones(outputs))

    def forward(self, x: Tensor, downs: list[Tensor], ups: list[Tensor]) -> Tensor:
        """Return the mixture for a stream.

        The updates themselves are never made: q . K B z = (q K B) . z, and the mixture of B z is one product with the
        B's side by side.

        Args:
            x: [..., inputs], of any type; the fp32 weights are used in it.
            downs: A_k [rank, inputs] of each LoRA.
            ups: s_k B_k [outputs, rank] of each.

        Returns:
            [..., outputs] in the type of `x`.
        """
        ranks = torch.tensor([down.shape[0] for down in downs], device=x.device)
        owner = torch.repeat_interleave(torch.arange(len(downs), device=x.device), ranks)
        member = functional.one_hot(owner, len(downs)).to(x.dtype)  # [all ranks, LoRAs]
        low = functional.linear(x, torch.cat(downs).to(x.dtype))
        up = torch.cat(ups, 1)
        if self.gate == "weights":
            weights = torch.softmax(self.logits, 0)
            return functional.linear(low * weights[owner].to(x.dtype), up.to(x.dtype))
        asked = functional.linear(x, self.query.to(x.dtype)) @ (self.key @ up).to(x.dtype)
        scores = ((asked * low) @ member).float() / SIZE**0.5
        shares = torch.softmax(scores, -1).to(x.dtype) @ member.T
        return functional.linear(low * shares, up.to(x.dtype)) * self.value.to(x.dtype)

    def delta(self, downs: list[Tensor], ups: list[Tensor]) -> Tensor | None:
        """Return the mixture as one update of the weights [outputs, inputs]; None where it differs by token."""
        if self.gate != "weights":
            return None
        parts = [up.float() @ down.float() for down, up in zip(downs, ups, strict=True)]
        return torch.einsum("k,koi->oi", torch.softmax(self.logits.float(), 0), torch.stack(parts))


def add_lora_fusion(model: Any, names: list[str], gate: str) -> str:
    """Put a fusion of these LoRAs, which are in `model` and not active, on every map that has them; return its name."""
    fusion = ",".join(names)
    for layer in model.roberta.modules():
        if names[0] in getattr(layer, "lora_A", ()):
            linear = layer.get_base_layer()
            gates = nn.ModuleDict({fusion: LoraFusion(names, gate, linear.in_features, linear.out_features)})
            layer.delta_fusion = gates
            layer.register_forward_hook(_add_mixture)
    return fusion


def _add_mixture(layer: Any, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
    """Add the mixture to what the library's own forward of a map gives."""
    for gate in layer.delta_fusion.values():
        downs = [layer.lora_A[name].weight for name in gate.names]
        ups = [layer.lora_B[name].weight * layer.scaling[name] for name in gate.names]
        output = output + gate(inputs[0], downs, ups).to(output.dtype)
    return output


def save_lora_fusion(model: Any, name: str, folder: Path, backbone: str) -> None:
    """Write the fusion's tensors, its configuration, and a card that says what it is."""
    tensors = {key: model.get_parameter(key) for key in storage.names_of(model, "lora_fusion", name)}
    plain = {_plain(key, name): value for key, value in tensors.items()}
    gate = _gate(model)
    storage.write_tensors(folder / _WEIGHTS, plain)
    size = SIZE if gate == "attention" else None
    config = {"format": _FORMAT, "gate": gate, "modules": name.split(","), "size": size, "backbone": backbone}
    write_json(folder / _CONFIG, config)
    count = sum(value.numel() for value in plain.values())
    write_text(folder / "README.md", _card(name.split(","), gate, backbone, count))


def load_lora_fusion(model: Any, folder: Path, name: str) -> None:
    """Fill the fusion `name` of `model`, which was added already, from a folder written by `save_lora_fusion`.

    Raises:
        UserError: when the folder is damaged, or was written for other modules or by a later version.
    """
    config = read_json(folder / _CONFIG)
    wanted = {"format": _FORMAT, "gate": _gate(model), "modules": name.split(",")}
    for key, value in wanted.items():
        if not isinstance(config, dict) or config.get(key) != value:
            found = config.get(key) if isinstance(config, dict) else None
            raise UserError(f"{folder / _CONFIG}: {key} is {found!r}, not {value!r}; it is of another composition.")
    names = storage.names_of(model, "lora_fusion", name)
    here = {_plain(key, name): key for key in names}
    tensors = {here.get(key, key): value for key, value in storage.read_tensors(folder / _WEIGHTS).items()}
    storage.fill(model, tensors, names, folder / _WEIGHTS)


def _plain(key: str, name: str) -> str:
    return re.sub(r"\.delta_fusion\." + re.escape(name), "", key.removeprefix("roberta."))


def _gate(model: Any) -> str:
    return next(module.gate for module in model.modules() if isinstance(module, LoraFusion))


def _card(names: list[str], gate: str, backbone: str, count: int) -> str:
    how = (
        "attention per token, from the input of each linear map to the updates of the LoRAs"
        if gate == "attention"
        else "one softmax weight for each linear map and LoRA"
    )
    return f"""---
library_name: adapterxfer
tags:
- lora
- fusion
- xlm-roberta
---

# A fusion of {len(names)} LoRAs

A learned mixture of the frozen LoRAs {", ".join(names)} on {backbone}: {how}. It has {count:,} numbers, in
`{_WEIGHTS}`; `{_CONFIG}` says how they are used.

It is no module by itself and needs these LoRAs, which stand beside it in the run folder it came from. The run folder
loads with `adapterxfer.load_run(folder)`.
"""
