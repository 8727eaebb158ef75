"""Write what a composition comes to as one module, in its library's own format, with a record of its parents."""

import re
import shutil
from pathlib import Path
from typing import Any

from adapterxfer.errors import RunError, UserError
from adapterxfer.files import read_json, write_json
from adapterxfer.modules import storage
from adapterxfer.modules.expression import Average, Expression, Merge, Stack, Trained, as_expression, leaves
from adapterxfer.modules.merging import source_of
from adapterxfer.modules.nesting import Member, check_forms
from adapterxfer.modules.resolve import COMPOSED, ModuleSource, resolve


def compose(expression: Any, out: str | Path) -> Path:
    """Write the one module that a composition of trained modules comes to.

    That is a module by itself, a Merge, and any Stack or Average of LoRAs, whose updates add up exactly.

    Args:
        expression: the composition, as an object or as text.
        out: the folder to make; it takes a place of its own as a leaf of other compositions.

    Returns:
        The folder: the module as `adapters` or `peft` load it, and compose.json (expression, parents with their
        digests, what they were trained on and left out).

    Raises:
        UserError: when the composition is not one module, or the folder exists.
        RunError: when the disk refuses.
    """
    written = as_expression(expression)
    folder = Path(out).expanduser()
    if folder.exists():
        raise UserError(f"{folder} exists already; choose another --out or remove it.")
    source = source_of(_one_module(written))
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", folder.name).strip("_") or "module"
    partial = folder.with_name(folder.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _write(source, name, partial)
        write_json(partial / COMPOSED, _record(written, source, name))
        partial.rename(folder)
    except OSError as error:
        raise RunError(f"{folder} could not be written: {error.strerror or error}.") from error
    return folder


def _one_module(written: Expression) -> Trained | Merge:
    """Return the leaf or Merge that a composition comes to."""
    if isinstance(written, Trained | Merge):
        return written
    instead = (
        "it is used as it stands, in train-target --compose; to make one module of several write "
        "Merge(linear, a, b), which is no longer the same"
    )
    flat = [leaf for leaf, trains in leaves(written) if isinstance(leaf, Trained | Merge) and not trains]
    if not isinstance(written, Stack | Average) or len(flat) < sum(1 for _ in leaves(written)):
        raise UserError(f"{written} is not one trained module; {instead}.")
    sources = [source_of(leaf) for leaf in flat]
    check_forms(written, [Member(str(leaf), one.form, one.locations) for leaf, one in zip(flat, sources, strict=True)])
    if any(source.form != "lora" for source in sources):
        raise UserError(f"{written} is not one module, as only the updates of LoRAs add up; {instead}.")
    return Merge("arithmetic", *flat, weights=_weights(written))


def _weights(node: Expression, share: float = 1.0) -> list[float]:
    """Return what each leaf's update is multiplied by."""
    if isinstance(node, Stack | Average):
        shares = node.shares if isinstance(node, Average) else (1.0,) * len(node.children)
        return [
            weight for child, own in zip(node.children, shares, strict=True) for weight in _weights(child, share * own)
        ]
    if isinstance(node, Trained | Merge):
        return [share]
    raise UserError(f"{node} is not one trained module; a Fuse learns its mixture in train-target.")


def _write(source: ModuleSource, name: str, folder: Path) -> None:
    if source.kind in storage.PEFT_KINDS:
        config = storage.peft_config(source)
        storage.write_peft(folder, source.tensors(), config, source.config.get("base_model_name_or_path"))
        return
    written = read_json(source.folder / "adapter_config.json")
    write_json(folder / "adapter_config.json", written | {"name": name, "config": source.config})
    storage.write_tensors(folder / "adapter.safetensors", storage.renamed(source.tensors(), name))


def _record(written: Expression, source: ModuleSource, name: str) -> dict[str, Any]:
    parents = []
    for where in dict.fromkeys(_places(written)):
        parent = resolve(where)
        protected = None if parent.protected is None else list(parent.protected)
        parents.append(
            {
                "where": where,
                "name": parent.name,
                "digest": parent.digest(),
                "trained_on": list(parent.trained_on),
                "protected": protected,
            }
        )
    return {
        "name": name,
        "expression": str(written),
        "kind": source.kind,
        "trained_on": list(source.trained_on),
        "protected": None if source.protected is None else list(source.protected),
        "backbone_digest": source.backbone_digest,
        "parents": parents,
    }


def _places(node: Any) -> list[str]:
    """Return the modules on disk that an expression is made of, also those inside a Merge."""
    if isinstance(node, Trained):
        return [node.where]
    return [where for child in node.children for where in _places(child)]
