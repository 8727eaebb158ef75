"""Build the model of a composition: modules of `adapters` and `peft` in one encoder, as its structure says."""

from dataclasses import dataclass
from typing import Any

import torch

from adapterxfer.backbone import Backbone
from adapterxfer.errors import UserError
from adapterxfer.modules import storage
from adapterxfer.modules.expression import Average, Expression, Fuse, Parallel, Stack, Trained, fuses_of
from adapterxfer.modules.lora_fusion import add_lora_fusion
from adapterxfer.modules.nesting import BY_LIBRARY, Member
from adapterxfer.modules.resolve import MODULE_FOLDER, ModuleSource
from adapterxfer.modules.specs import Spec

_DICT = torch.nn.ModuleDict
BY_ADAPTERS = ("bottleneck", "prefix")  # the kinds of parts that `adapters` runs; the others are peft's


@dataclass(frozen=True)
class Part:
    """One module of a composition. Exactly one of `source` (trained, on disk) and `spec` (fresh) is set."""

    name: str
    kind: str
    trains: bool
    source: ModuleSource | None = None
    spec: Spec | None = None

    @property
    def folder(self) -> str:
        """Where a run folder keeps it."""
        return MODULE_FOLDER if self.trains else f"frozen/{self.name}"

    @property
    def member(self) -> Member:
        """What the rules of nesting ask of it."""
        if self.source is not None:
            places = self.source.locations if self.source.kind in ("lora", "bottleneck") else None
            return Member(self.name, self.source.form, places)
        assert self.spec is not None
        return Member(str(self.spec), self.spec.form)


@dataclass(frozen=True)
class Assembled:
    """A frozen model in evaluation mode, the names of its fusions, and what the libraries' own forward cannot do."""

    model: Any
    fusion: str | None
    lora_fusion: str | None
    own_path_only: str


def assemble(
    backbone: Backbone, parts: list[Part], structure: Expression | None, requested: str, seed: int
) -> Assembled:
    """Put the parts on a backbone and switch them on; what is fresh starts from `seed`.

    Raises:
        UserError: for a composition (`requested`, as its user wrote it) that neither engine nor library computes.
    """
    model = backbone.new_model()
    # peft's first: a foreign configuration may name targets that would also match an AdapterFusion's projections
    for part in sorted(parts, key=lambda part: part.kind in BY_ADAPTERS):
        if part.source is not None:
            storage.load_module(model, part.source, part.name)
        elif part.spec is not None:
            torch.manual_seed(seed)
            config = part.spec.configuration(backbone.layers, backbone.hidden_size)
            if part.kind in BY_ADAPTERS:
                model.add_adapter(part.name, config=config)
            else:
                storage.inject_peft(model, config, part.name)
    kinds = {part.name: part.kind for part in parts}
    fusion = lora_fusion = None
    for node in fuses_of(structure):
        torch.manual_seed(seed)
        names = [str(child) for child in node.children]
        if kinds[names[0]] == "lora":
            lora_fusion = add_lora_fusion(model, names, node.gate)
        else:
            model.add_adapter_fusion(names)
            fusion = ",".join(names)
            _fold_fusion_products(model, fusion)
    setup = library_setup(structure, kinds) if structure else None
    if setup is not None:
        model.set_active_adapters(setup)
    _activate_peft(model, structure, kinds)
    model.to(next(iter(backbone.state.values())).device)
    model.requires_grad_(False)
    return Assembled(model.eval(), fusion, lora_fusion, _own_path_only(model, structure, parts, requested))


def _own_path_only(model: Any, structure: Expression | None, parts: list[Part], requested: str) -> str:
    """Say what of a composition the libraries' own forward does not compute, or computes wrongly.

    Raises:
        UserError: where it would have to, for a module that the engine does not compute.
    """
    what = ""
    if isinstance(structure, Parallel):
        what = f"a {type(structure).__name__}"
    elif any(_partly_there(model, node) for node in getattr(structure, "children", ()) or (structure,)):
        what = "a mixture of modules at other places than those beside it"
    elif _partly_there(model, structure):
        what = "an Average of modules in different layers"
    others = [part.member for part in parts if part.member.form in BY_LIBRARY]
    if what and others:
        raise UserError(f"{requested}: {others[0]}, and cannot stand beside {what}; train them in the same layers.")
    return what


def _partly_there(model: Any, node: Any) -> bool:
    """Whether a place holds bottlenecks, but not all that a mixture mixes: the library raises there, or mis-scales."""
    if not isinstance(node, Fuse | Average):
        return False
    names = {str(child) for child in node.children}
    held = [set(module.adapters) for module in model.modules() if isinstance(getattr(module, "adapters", None), _DICT)]
    return any(present and not names <= present for present in held) and any(names & present for present in held)


def _fold_fusion_products(model: Any, fusion: str) -> None:
    """Give the fusion's projections contiguous inputs.

    The library hands them a permuted [rows, tokens, modules, hidden], which torch without gradients multiplies as one
    tiny product per token; made contiguous it is a single product, with the same numbers.
    """
    pattern = storage.parameter_pattern("fusion", fusion)
    for name, module in model.named_modules():
        if pattern.search(name + ".") and isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(), *inputs[1:]))


def library_setup(structure: Expression, kinds: dict[str, str]) -> Any:
    """Return the composition of the parts that `adapters` runs, in its words; None where there is none.

    A Parallel or BatchSplit is run by the engine, branch by branch.
    """
    import adapters
    import adapters.composition

    if isinstance(structure, Trained):
        return structure.where if kinds[structure.where] in BY_ADAPTERS else None
    if isinstance(structure, Parallel):
        return None
    assert isinstance(structure, Stack | Fuse | Average)
    children = [library_setup(child, kinds) for child in structure.children]
    children = [child for child in children if child is not None]
    if len(children) < 2:
        return children[0] if children else None
    if isinstance(structure, Average):
        # adapters 1.3 divides the weighted sum by the number of modules once more
        weights = [share * len(children) for share in structure.shares]
        return adapters.composition.Average(*children, weights=weights, normalize_weights=False)
    return getattr(adapters, type(structure).__name__)(*children)


def peft_names(structure: Expression | None, kinds: dict[str, str]) -> list[str]:
    """Return the names of peft's modules that stand in a composition and are added up; those in a Fuse are not."""
    if isinstance(structure, Trained):
        return [structure.where] if kinds[structure.where] in storage.PEFT_KINDS else []
    if isinstance(structure, Stack | Average | Parallel):
        return [name for child in structure.children for name in peft_names(child, kinds)]
    return []


def _activate_peft(model: Any, structure: Expression | None, kinds: dict[str, str]) -> None:
    """Switch on what is added up on every map, each LoRA of an Average scaled by its share.

    In a Parallel or BatchSplit all are on, and the engine picks those of each branch.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    names = peft_names(structure, kinds)
    shares = dict(_shares(structure))
    for module in model.roberta.modules():
        if isinstance(module, BaseTunerLayer):
            held = next(getattr(module, word) for word in ("lora_A", "ia3_l") if hasattr(module, word))
            module.set_adapter([name for name in names if name in held])
            for name, share in shares.items():
                if name in getattr(module, "scaling", ()):
                    module.set_scale(name, share)


def _shares(structure: Any) -> list[tuple[str, float]]:
    """Return the share of each module that stands in an Average."""
    if isinstance(structure, Average):
        return [(str(child), share) for child, share in zip(structure.children, structure.shares, strict=True)]
    return [pair for child in getattr(structure, "children", ()) for pair in _shares(child)]
