"""Run recipes: `python -m adapter_zoo list`, `run NAME... --data-dir DIR`, `show NAME...`, `matrix NAME...`."""

import argparse
import sys
from pathlib import Path

from adapter_zoo.recipes import Recipe, load_recipe, recipe_names, run_recipe
from adapterxfer.backbone import load_backbone
from adapterxfer.errors import AdapterxferError, UserError
from adapterxfer.files import read_json
from adapterxfer.report.matrix import BASELINE, matrix_of
from adapterxfer.report.seeds import seeds_table

_PARTS = {"squad": ("f1", "em"), "pos": ("accuracy", "chunk_f1"), "retrieval": ("accuracy", "reverse_accuracy")}


def _show(recipe: Recipe, out: Path) -> None:
    seeds = [out / recipe.name / f"seed{seed}" / "metrics.json" for seed in recipe.seeds]
    seeds = [path for path in seeds if path.is_file()]
    groups: dict[str, list[Path]] = {recipe.task: seeds}
    for other in recipe.also:
        found = [next(iter(path.parent.glob(f"evaluations/{other['task']}-*/metrics.json")), None) for path in seeds]
        groups[other["task"]] = [path for path in found if path]
    for task, paths in groups.items():
        if paths:
            metrics = [read_json(path) for path in paths]
            sys.stdout.write(f"\n**{recipe.name}: {task}**, {len(metrics)} seed{'s' if len(metrics) > 1 else ''}\n\n")
            sys.stdout.write(seeds_table(metrics, _PARTS.get(metrics[0]["metric"], ("score",))) + "\n")


def _matrix(names: list[str], out: Path, picture: Path | None) -> None:
    points = []
    for number, name in enumerate(names):
        recipe = load_recipe(name)
        for seed in recipe.seeds:
            path = out / name / f"seed{seed}" / "metrics.json"
            if path.is_file():
                points.append((name if number else BASELINE, read_json(path), seed))
    if not points:
        raise UserError(f"none of {', '.join(names)} has been run under {out}.")
    matrix = matrix_of(points, [])
    sys.stdout.write(matrix.markdown())
    if picture:
        picture.write_bytes(matrix.picture())


def main() -> None:
    """Parse the words and run."""
    parser = argparse.ArgumentParser(prog="python -m adapter_zoo", description=__doc__)
    parser.add_argument("verb", choices=["list", "run", "show", "matrix"])
    parser.add_argument("names", nargs="*", help="recipes; for matrix the baseline first")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/zoo"))
    parser.add_argument("--seeds", help="only these, e.g. 0,1")
    parser.add_argument("--picture", type=Path, help="matrix: write the picture here")
    options = parser.parse_args()
    try:
        if options.verb == "list":
            for name in recipe_names():
                sys.stdout.write(f"{name.ljust(20)} {load_recipe(name).about}\n")
        elif options.verb == "matrix":
            _matrix(options.names, options.out, options.picture)
        for recipe in [load_recipe(name) for name in options.names] if options.verb in ("run", "show") else []:
            if options.verb == "run":
                backbone = load_backbone(recipe.backbone, "auto")
                for seed in map(int, options.seeds.split(",")) if options.seeds else recipe.seeds:
                    run_recipe(recipe, seed, options.out, backbone, options.data_dir)
            _show(recipe, options.out)
    except AdapterxferError as error:
        sys.stderr.write(f"adapter_zoo: {error}\n")
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
