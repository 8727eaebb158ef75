"""Put a composition on a frozen backbone: one model that holds `adapters` and `peft` modules, and who trains in it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from adapterxfer.backbone import Backbone
from adapterxfer.errors import UserError
from adapterxfer.files import read_json
from adapterxfer.modules import storage
from adapterxfer.modules.expression import Expression, Fuse, Stack, Trained, leaves
from adapterxfer.modules.parse import parse_expression
from adapterxfer.modules.resolve import MODULE_FOLDER, ModuleSource, read_module_folder, resolve
from adapterxfer.modules.specs import Lora, Spec


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


@dataclass
class Attached:
    """A backbone with a composition on it.

    `structure` is the expression over the parts' names as it stands once trained; `requested` as it was asked for.
    `fusion` is the name of the AdapterFusion, if there is one. `trained_on` are the tasks its trained modules have
    seen, `protected` those whose examples every one of these trainings left out (None: unknown of one of them).
    """

    backbone: Backbone
    model: Any
    parts: list[Part]
    structure: Expression | None
    requested: str
    fusion: str | None = None
    trained_on: tuple[str, ...] = field(default=())
    protected: tuple[str, ...] | None = None
    program: Any = field(default=None, repr=False)  # the engine's reading of the model, kept with it

    def trainable(self) -> dict[str, torch.nn.Parameter]:
        """Return the parameters of the model that a step of training moves, by name."""
        return {name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad}

    def set_training(self, training: bool) -> None:
        """Switch the dropout of what trains on or off; the frozen backbone never drops anything."""
        self.model.eval()
        if training:
            patterns = [storage.parameter_pattern(part.kind, part.name) for part in self.parts if part.trains]
            for name, module in self.model.named_modules():
                if any(pattern.search(name + ".") for pattern in patterns):
                    module.train()

    def describe(self) -> dict[str, Any]:
        """Return what run.json says of the composition."""
        return {
            "requested": self.requested,
            "expression": str(self.structure) if self.structure else "",
            "parts": {part.name: {"folder": part.folder, "kind": part.kind} for part in self.parts},
            "fusion": "fusion" if self.fusion else None,
        }

    def save(self, folder: Path) -> None:
        """Write every part, and the fusion, under a run folder, each in its library's own format."""
        for part in self.parts:
            if part.kind == "lora":
                storage.save_lora(self.model, part.name, folder / part.folder, self.backbone.name)
            else:
                storage.save_bottleneck(self.model, part.name, folder / part.folder)
        if self.fusion:
            storage.save_fusion(self.model, self.fusion, folder / "fusion")


def bare(backbone: Backbone) -> Attached:
    """Return the backbone with nothing on it, e.g. for retrieval with no training."""
    return Attached(backbone, backbone.new_model(), [], None, "")


def attach(backbone: Backbone, expression: Expression, fresh_name: str, seed: int) -> Attached:
    """Build the model of a composition that is to be trained; what is fresh starts from `seed`.

    Raises:
        UserError: when a module cannot be found, does not fit the backbone, or the kinds cannot be composed so.
    """
    parts: list[Part] = []
    names: set[str] = set()
    for leaf, trains in leaves(expression):
        if isinstance(leaf, Trained):
            source = resolve(leaf.where)
            _check_fits(backbone, source, leaf.where)
            wanted = fresh_name if trains else source.name
            parts.append(Part(_unique(wanted, names), source.kind, trains, source=source))
        else:
            kind = "lora" if isinstance(leaf, Lora) else "bottleneck"
            parts.append(Part(_unique(fresh_name, names), kind, trains, spec=leaf))
    structure = _named(expression, iter(parts))
    _check_fusion(expression, structure, parts)
    attached = _assemble(backbone, parts, structure, str(expression), seed)
    seen = [task for part in parts if part.source for task in part.source.trained_on]
    attached.trained_on = tuple(dict.fromkeys(seen))
    attached.protected = _common([part.source.protected for part in parts if part.source and part.source.trained_on])
    _set_trainable(attached)
    return attached


def attach_run(backbone: Backbone, folder: Path) -> Attached:
    """Build the model of a finished run, all of it frozen.

    Raises:
        UserError: when the run's files are missing, damaged or of another backbone.
    """
    run = read_json(folder / "run.json")
    if run["backbone"]["digest"] != backbone.digest:
        raise UserError(f"{folder} was trained on the backbone {run['backbone']['name']}, not on {backbone.name}.")
    composition = run["composition"]
    parts = []
    for name, record in composition["parts"].items():
        source = read_module_folder(folder / record["folder"], name)
        parts.append(Part(name, record["kind"], record["folder"] == MODULE_FOLDER, source=source))
    structure = parse_expression(composition["expression"]) if composition["expression"] else None
    attached = _assemble(backbone, parts, structure, composition["requested"], seed=0)
    if composition["fusion"]:
        assert attached.fusion is not None
        storage.load_fusion(attached.model, folder / composition["fusion"], attached.fusion)
    attached.trained_on, attached.protected = tuple(run["trained_on"]), tuple(run["protected"])
    attached.model.requires_grad_(False)
    attached.set_training(False)
    return attached


def _common(protected: list[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    """Return what all of the trainings protected."""
    if not protected or None in protected:
        return None
    return tuple(name for name in protected[0] or () if all(name in (other or ()) for other in protected))


def _unique(wanted: str, names: set[str]) -> str:
    """Return `wanted` as a name both libraries take (letters, digits, - and _), unlike those in `names`."""
    base = re.sub(r"[^A-Za-z0-9_-]+", "_", wanted).strip("_") or "module"
    name, number = base, 2
    while name in names:
        name, number = f"{base}-{number}", number + 1
    names.add(name)
    return name


def _named(expression: Expression, parts: Iterator[Part]) -> Expression:
    """Replace each leaf by its part's name; Continue(a) and specs become plain names, as they are once trained."""
    if isinstance(expression, Stack | Fuse):
        return type(expression)(*[_named(child, parts) for child in expression.children])
    return Trained(next(parts).name)


def _check_fits(backbone: Backbone, source: ModuleSource, where: str) -> None:
    if source.backbone_digest is not None and source.backbone_digest != backbone.digest:
        raise UserError(
            f"{where} was trained on another backbone than {backbone.name}; modules do not move between them."
        )


def _check_fusion(expression: Expression, structure: Expression, parts: list[Part]) -> None:
    by_name = {part.name: part for part in parts}
    for node in structure.children if isinstance(structure, Stack) else (structure,):
        if not isinstance(node, Fuse):
            continue
        mixed = [by_name[str(child)] for child in node.children]
        for part in mixed:
            if part.kind == "lora":
                raise UserError(
                    f"{expression}: AdapterFusion mixes bottleneck adapters, and {part.name} is a LoRA; "
                    "stack LoRAs instead: Stack(a, b, lora())."
                )
        if len({part.source.locations for part in mixed if part.source}) > 1:
            raise UserError(
                f"{expression}: a Fuse needs modules at the same places of the same layers; "
                f"{', '.join(part.name for part in mixed)} differ in kind or in top_layers."
            )


def _assemble(
    backbone: Backbone, parts: list[Part], structure: Expression | None, requested: str, seed: int
) -> Attached:
    attached = Attached(backbone, backbone.new_model(), parts, structure, requested)
    model = attached.model
    # LoRA first: a foreign configuration may name targets that would also match an AdapterFusion's projections
    for part in sorted(parts, key=lambda part: part.kind != "lora"):
        if part.source is not None:
            (storage.load_lora if part.kind == "lora" else storage.load_bottleneck)(model, part.source, part.name)
        elif part.spec is not None:
            torch.manual_seed(seed)
            config = part.spec.configuration(backbone.layers, backbone.hidden_size)
            if part.kind == "lora":
                storage.inject_lora(model, config, part.name)
            else:
                model.add_adapter(part.name, config=config)
    bottlenecks = {part.name for part in parts if part.kind == "bottleneck"}
    setup = _library_setup(structure, bottlenecks) if structure else None
    for node in structure.children if isinstance(structure, Stack) else (structure,):
        if isinstance(node, Fuse):
            torch.manual_seed(seed)
            names = [str(child) for child in node.children]
            model.add_adapter_fusion(names)
            attached.fusion = ",".join(names)
            _fold_fusion_products(model, attached.fusion)
    if setup is not None:
        model.set_active_adapters(setup)
    loras = [part.name for part in parts if part.kind == "lora"]
    if loras:
        _activate_loras(model, loras)
    model.to(next(iter(backbone.state.values())).device)
    model.requires_grad_(False)
    attached.set_training(False)
    return attached


def _fold_fusion_products(model: Any, fusion: str) -> None:
    """Give the fusion's projections contiguous inputs.

    The library hands them a permuted [rows, tokens, modules, hidden], which torch without gradients multiplies as one
    tiny product per token; made contiguous it is a single product, with the same numbers.
    """
    pattern = storage.parameter_pattern("fusion", fusion)
    for name, module in model.named_modules():
        if pattern.search(name + ".") and isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(), *inputs[1:]))


def _library_setup(structure: Expression, bottlenecks: set[str]) -> Any:
    """Return the composition of the bottleneck parts in the words of `adapters`; None where there is none."""
    import adapters

    if isinstance(structure, Trained):
        return structure.where if structure.where in bottlenecks else None
    assert isinstance(structure, Stack | Fuse)
    children = [_library_setup(child, bottlenecks) for child in structure.children]
    children = [child for child in children if child is not None]
    if len(children) < 2:
        return children[0] if children else None
    return getattr(adapters, type(structure).__name__)(*children)


def _activate_loras(model: Any, names: list[str]) -> None:
    from peft.tuners.lora import LoraLayer

    for module in model.roberta.modules():
        if isinstance(module, LoraLayer):
            module.set_adapter([name for name in names if name in module.lora_A])


def _set_trainable(attached: Attached) -> None:
    """Freeze everything, then free what the composition trains: its fresh or continued module, and its fusion."""
    patterns = [storage.parameter_pattern(part.kind, part.name) for part in attached.parts if part.trains]
    if attached.fusion:
        patterns.append(storage.parameter_pattern("fusion", attached.fusion))
    for name, parameter in attached.model.named_parameters():
        parameter.requires_grad_(any(pattern.search(name) for pattern in patterns))
