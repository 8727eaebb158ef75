"""Loads a frozen backbone by name or folder."""

import importlib.util
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapterxfer.backbone.hub import model_folder
from adapterxfer.backbone.mini import mini_digest, mini_folder
from adapterxfer.backbone.precision import Policy, policy_of
from adapterxfer.backbone.weights import digest_of, read_config, read_state, read_tokenizer
from adapterxfer.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from adapterxfer.backbone.quantised import Quantised

# Two warnings that say nothing to our users: bitsandbytes, as it is imported, on a kernel it does without; adapters, on
# every change of the active modules.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
logging.getLogger("adapters").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Backbone:
    """A frozen XLM-R encoder that any number of models share.

    Attributes:
        name: as it was asked for.
        precision: "fp32", "bf16", "fp16", "int8" or "nf4".
        config: the `XLMRobertaConfig`.
        tokenizer: a fast tokenizer.
        digest: SHA-256 over the weights as they were stored, and the architecture; the same at every precision.
        state: the weights of `XLMRobertaModel` without a pooler, on the device where models will run.
        quantised: at int8 and nf4, those weights that bitsandbytes holds, by name; they are not in `state`.
    """

    name: str
    precision: str
    config: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    digest: str
    state: "dict[str, Tensor]" = field(repr=False)
    quantised: "Mapping[str, Quantised]" = field(default_factory=dict, repr=False)

    @property
    def policy(self) -> Policy:
        """How weights are stored and the forward pass computes."""
        return Policy(self.precision)

    @property
    def max_length(self) -> int:
        """The longest input, in tokens with the special ones: 512 for XLM-R."""
        # XLM-R counts positions from the padding id plus one.
        return int(self.config.max_position_embeddings - self.config.pad_token_id - 1)

    @property
    def layers(self) -> int:
        """The number of layers."""
        return int(self.config.num_hidden_layers)

    @property
    def hidden_size(self) -> int:
        """The width of the hidden states."""
        return int(self.config.hidden_size)

    def new_model(self) -> Any:
        """Return a fresh `adapters.XLMRobertaAdapterModel`, frozen, in evaluation mode, with no modules or heads.

        Its `roberta` has no pooler and uses this backbone's tensors themselves: a model costs no memory and a fraction
        of a second. Modules added to one model are unknown to the others.
        """
        from adapterxfer.backbone.model import build

        return build(self.config, self.state, self.quantised)


def load_backbone(
    name: str = "xlm-roberta-large", precision: str = "fp32", device: "torch.device | str | None" = None
) -> Backbone:
    """Load a frozen encoder.

    Args:
        name: "mini" (embedded), "xlm-roberta-base", "xlm-roberta-large", a folder, or the name of any XLM-R type model
            on the Hub. What the Hub's cache holds is used without asking the network.
        precision: "fp32", "bf16", "fp16", "int8", "nf4", or "auto" for what suits the machine, which is never one of
            the two quantised ones.
        device: where the weights go; by default the GPU where there is one.

    Raises:
        UserError: for an unknown precision or name, another type of model, damaged files, or a quantised precision
            without bitsandbytes.
        RunError: when the model is not in the cache and the Hub cannot be reached.
    """
    policy = policy_of(precision)
    if policy.quantised:
        _need_bitsandbytes(policy.precision)
    folder = mini_folder() if name == "mini" else model_folder(name)
    return _from_folder(name, folder, policy, device)


def _from_folder(name: str, folder: Path, policy: Policy, device: "torch.device | str | None") -> Backbone:
    config = read_config(folder)
    import torch

    from adapterxfer.backbone.model import shapes

    stored = read_state(folder, shapes(config))
    tokenizer = read_tokenizer(folder, config.vocab_size, own=name == "mini")
    digest = mini_digest(folder) if name == "mini" else digest_of(stored, config)
    target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    plain = [key for key in stored if not policy.quantises(key)]
    state = {key: stored[key].to(target, policy.storage_dtype(key)) for key in plain}
    quantised: dict[str, Quantised] = {}
    if policy.quantised:
        from adapterxfer.backbone.quantised import quantise

        packed = [key for key in stored if policy.quantises(key)]
        quantised = {key: quantise(stored[key].to(target), policy.precision) for key in packed}
    return Backbone(name, policy.precision, config, tokenizer, digest, state, quantised)


def _need_bitsandbytes(precision: str) -> None:
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UserError(
            f"precision {precision} needs the package bitsandbytes, which is missing here: pip install "
            "'bitsandbytes>=0.48', or choose bf16."
        )
