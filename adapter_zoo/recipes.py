"""Recipes: what trains one module, as a small YAML file, with what it is expected to reach.

name, about
backbone: mini
verb: intermediate | target
task: udpos
adapter: bottleneck(reduction=4)      the fresh module, or
compose: Stack({nli}, bottleneck())   a composition; {nli} is the run of the recipe `nli` with the same seed,
                                          {nli@0} its run with seed 0
options: {epochs: 3, ...}             options of the verb
seeds: [0, 1, 2]
also: [{task: xquad, options: {...}}] other tasks scored with the same run
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from adapterxfer.errors import UserError
from adapterxfer.transfer.evaluate import evaluate
from adapterxfer.transfer.run import Run
from adapterxfer.transfer.train import train_intermediate, train_target

_FOLDER = Path(__file__).parent / "recipes"
_KEYS = {"name", "about", "backbone", "verb", "task", "adapter", "compose", "options", "seeds", "also"}


@dataclass(frozen=True)
class Recipe:
    """One recipe; the module's text explains the keys."""

    name: str
    about: str
    backbone: str
    verb: str
    task: str
    seeds: tuple[int, ...]
    adapter: str | None = None
    compose: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    also: tuple[dict[str, Any], ...] = ()

    def needs(self, seed: int) -> dict[str, str]:
        """Return the runs this one stands on for a seed: as written in `compose` -> place below the output."""
        written = re.findall(r"\{[\w-]+(?:@\d+)?\}", self.compose or "")
        parts = {text: text[1:-1].partition("@") for text in written}
        return {text: f"{name}/seed{number or seed}" for text, (name, _, number) in parts.items()}


def recipe_names() -> list[str]:
    """Return the names of the recipes shipped here."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def load_recipe(name: str) -> Recipe:
    """Load a recipe by name, or from the path of a YAML file.

    Raises:
        UserError: when there is none, or a key is missing or unknown.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else _FOLDER / f"{name}.yaml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"no recipe {name!r}; there are {', '.join(recipe_names())}.") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(content, dict) or set(content) - _KEYS:
        unknown = ", ".join(sorted(set(content) - _KEYS)) if isinstance(content, dict) else "no keys"
        raise UserError(f"{path}: unknown {unknown}; a recipe has {', '.join(sorted(_KEYS))}.")
    missing = {"name", "about", "backbone", "verb", "task", "seeds"} - set(content)
    if missing or ("adapter" in content) == ("compose" in content) or content["verb"] not in ("intermediate", "target"):
        raise UserError(f"{path}: a recipe needs name, about, backbone, verb, task, seeds, and adapter or compose.")
    return Recipe(
        **{key: str(content[key]) for key in ("name", "about", "backbone", "verb", "task")},
        seeds=tuple(content["seeds"]),
        adapter=content.get("adapter"),
        compose=content.get("compose"),
        options=dict(content.get("options") or {}),
        also=tuple(content.get("also") or ()),
    )


def run_recipe(recipe: Recipe, seed: int, out: Path, backbone: Any, data_dir: Path | None) -> Run:
    """Train, resume or find finished one seed of a recipe under `out`/<recipe>/seed<seed>; score what is also asked.

    Raises:
        UserError: when a recipe it stands on has not been run, or the input is wrong.
    """
    folder = out / recipe.name / f"seed{seed}"
    options = {**recipe.options, "seed": seed, "data_dir": data_dir, "out": folder, "resume": True}
    if recipe.verb == "intermediate":
        run = train_intermediate(recipe.task, backbone, recipe.adapter or "", **options)
    else:
        run = train_target(recipe.task, backbone, _expression(recipe, seed, out), **options)
    for other in recipe.also:
        if not list(run.folder.glob(f"evaluations/{other['task']}-*/metrics.json")):
            evaluate(run, other["task"], data_dir=data_dir, backbone=backbone, **other.get("options", {}))
    return run


def _expression(recipe: Recipe, seed: int, out: Path) -> str:
    text = recipe.adapter or recipe.compose or ""
    for written, place in recipe.needs(seed).items():
        if not (out / place / "run.json").is_file():
            raise UserError(f"recipe {recipe.name} stands on {out / place}, which is not there: run that recipe first.")
        text = text.replace(written, f"'{out / place}'")
    return text
