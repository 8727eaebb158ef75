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
from adapterxfer.modules.assemble import Part, assemble
from adapterxfer.modules.expression import Average, Expression, Fuse, Parallel, Stack, Trained, as_expression, leaves
from adapterxfer.modules.lora_fusion import load_lora_fusion, save_lora_fusion
from adapterxfer.modules.merging import source_of
from adapterxfer.modules.nesting import check_forms
from adapterxfer.modules.parse import parse_expression
from adapterxfer.modules.resolve import MODULE_FOLDER, lineage, read_module_folder
from adapterxfer.modules.specs import Spec

FUSION_FOLDER = "fusion"


@dataclass
class Attached:
    """A backbone with a composition on it.

    `structure` is the expression over the parts' names as it stands once trained; `requested` as it was asked for.
    `fusion` is the name of the AdapterFusion and `lora_fusion` that of the LoRA Fuse, if there is one. `own_path_only`
    says what of the composition the libraries' own forward does not compute, or computes wrongly. `trained_on` are the
    tasks its trained modules have seen, `protected` those whose examples every one of these trainings left out (None:
    unknown of one of them).
    """

    backbone: Backbone
    model: Any
    parts: list[Part]
    structure: Expression | None
    requested: str
    fusion: str | None = None
    lora_fusion: str | None = None
    own_path_only: str = ""
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
            "fusion": FUSION_FOLDER if self.fusion or self.lora_fusion else None,
        }

    def save(self, folder: Path) -> None:
        """Write every part, and the fusion, under a run folder, each in its library's own format."""
        for part in self.parts:
            storage.save_module(self.model, part.kind, part.name, folder / part.folder, self.backbone.name)
        if self.fusion:
            storage.save_fusion(self.model, self.fusion, folder / FUSION_FOLDER)
        if self.lora_fusion:
            save_lora_fusion(self.model, self.lora_fusion, folder / FUSION_FOLDER, self.backbone.name)


def bare(backbone: Backbone) -> Attached:
    """Return the backbone with nothing on it, e.g. for retrieval with no training."""
    return Attached(backbone, backbone.new_model(), [], None, "")


def attach(backbone: Backbone, composition: Any, fresh_name: str = "module", seed: int = 0) -> Attached:
    """Build the model of a composition, to be trained or to be used as it is.

    Args:
        backbone: the frozen encoder.
        composition: an expression, its text, or a run.
        fresh_name: what the modules that train are called.
        seed: what is fresh starts from it.

    Raises:
        UserError: when a module cannot be found, does not fit the backbone, or the kinds cannot be composed so.
    """
    expression = as_expression(composition)
    parts = parts_of(expression, fresh_name)
    for part in parts:
        if part.source and part.source.backbone_digest not in (None, backbone.digest):
            raise UserError(
                f"{part.name} was trained on another backbone than {backbone.name}; modules do not move between them."
            )
    attached = _put_together(backbone, parts, _named(expression, iter(parts)), str(expression), seed)
    attached.trained_on, attached.protected = lineage([part.source for part in parts if part.source])
    _set_trainable(attached)
    return attached


def parts_of(expression: Expression, fresh_name: str) -> list[Part]:
    """Find the modules of a composition and check that they can be composed so; no backbone is needed.

    Raises:
        UserError: when a module cannot be found, or the kinds cannot be composed so.
    """
    parts: list[Part] = []
    names: set[str] = set()
    for leaf, trains in leaves(expression):
        if isinstance(leaf, Spec):
            parts.append(Part(_unique(fresh_name, names), leaf.kind_of_file, trains, spec=leaf))
            continue
        source = source_of(leaf)
        parts.append(Part(_unique(fresh_name if trains else source.name, names), source.kind, trains, source=source))
    check_forms(expression, [part.member for part in parts])
    return parts


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
    attached = _put_together(backbone, parts, structure, composition["requested"], seed=0)
    if attached.fusion:
        storage.load_fusion(attached.model, folder / FUSION_FOLDER, attached.fusion)
    if attached.lora_fusion:
        load_lora_fusion(attached.model, folder / FUSION_FOLDER, attached.lora_fusion)
    attached.trained_on, attached.protected = tuple(run["trained_on"]), tuple(run["protected"])
    attached.model.requires_grad_(False)
    attached.set_training(False)
    return attached


def _unique(wanted: str, names: set[str]) -> str:
    """Return `wanted` as a name both libraries take (letters, digits, - and _), unlike those in `names`."""
    base = re.sub(r"[^A-Za-z0-9_-]+", "_", wanted).strip("_") or "module"
    name, number = base, 2
    while name in names:
        name, number = f"{base}-{number}", number + 1
    names.add(name)
    return name


def _named(expression: Expression, parts: Iterator[Part]) -> Expression:
    """Replace each leaf by its part's name; Continue(a), Merge(...) and specs become names, as once trained."""
    if isinstance(expression, Stack | Fuse | Average | Parallel):
        return expression.with_children([_named(child, parts) for child in expression.children])
    return Trained(next(parts).name)


def _put_together(
    backbone: Backbone, parts: list[Part], structure: Expression | None, requested: str, seed: int
) -> Attached:
    built = assemble(backbone, parts, structure, requested, seed)
    return Attached(
        backbone=backbone,
        model=built.model,
        parts=parts,
        structure=structure,
        requested=requested,
        fusion=built.fusion,
        lora_fusion=built.lora_fusion,
        own_path_only=built.own_path_only,
    )


def _set_trainable(attached: Attached) -> None:
    """Freeze everything, then free what the composition trains: its fresh or continued module, and its fusion."""
    patterns = [storage.parameter_pattern(part.kind, part.name) for part in attached.parts if part.trains]
    for kind, name in (("fusion", attached.fusion), ("lora_fusion", attached.lora_fusion)):
        if name:
            patterns.append(storage.parameter_pattern(kind, name))
    for name, parameter in attached.model.named_parameters():
        parameter.requires_grad_(any(pattern.search(name) for pattern in patterns))
