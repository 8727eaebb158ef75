"""The demo: the main job in small, on the embedded backbone and the bundled sample, with no network."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapterxfer.backbone import Backbone
from adapterxfer.errors import UserError
from adapterxfer.modules.specs import bottleneck
from adapterxfer.report.matrix import BASELINE, TransferMatrix, matrix_of
from adapterxfer.transfer.run import Run
from adapterxfer.transfer.settings import backbone_of
from adapterxfer.transfer.train import train_intermediate, train_target

INTERMEDIATES = ("sample_nli", "sample_qa")
TARGETS = ("sample_choice", "sample_ner")
_SPEC = bottleneck(reduction=4)
# what fits into five minutes on two CPU cores with room to spare
_INTERMEDIATE_OPTIONS: dict[str, Any] = {"epochs": 2, "lr": 2e-3, "max_examples": 400}
_TARGET_OPTIONS: dict[str, Any] = {"epochs": 3, "max_examples": 240, "max_eval_examples": 40}


@dataclass(frozen=True)
class DemoReport:
    """What the demo found: the matrix, where it is written, and how long it took."""

    matrix: TransferMatrix
    files: list[Path]
    seconds: float

    def text(self) -> str:
        """Return the matrix and where to look next."""
        written = "\n".join(f"written: {path}" for path in self.files)
        return f"{self.matrix.text()}\n\n{written}\n{self.seconds:.0f} s in all"


def run_demo(out: Path, resume: bool = False, backbone: Backbone | str = "mini", **options: Any) -> DemoReport:
    """Train two intermediates and two targets, each target alone, stacked on each intermediate, and fused over both.

    Args:
        out: the folder for runs and report.
        resume: take runs that are finished in `out` as they are, and go on with an unfinished one.
        backbone: the encoder, or its name.
        **options: training options in the place of the demo's own, e.g. `steps=2`.

    Raises:
        UserError: when `out` holds something already and `resume` is not given.
    """
    started = time.monotonic()
    out = Path(out)
    if out.is_dir() and any(out.iterdir()) and not resume:
        raise UserError(f"{out} is not empty; choose another --out, remove it, or go on with --resume.")
    loaded = backbone_of(backbone, None)
    common: dict[str, Any] = {"batch_size": 16, "resume": resume, **options}
    sources = {
        task: train_intermediate(
            task, loaded, _SPEC, out=out / "intermediate" / task, **(_INTERMEDIATE_OPTIONS | common)
        )
        for task in INTERMEDIATES
    }
    points = []
    for target in TARGETS:
        for way, run in _ways(target, loaded, sources, out / "target", common):
            points.append((way, run.metrics, 0))
    matrix = matrix_of(
        points,
        [
            "Backbone mini (multilingual-e5-small), bundled sample, bottleneck(reduction=4), one seed: an illustration",
            "of the method, not a result; mini has seen labelled retrieval data, and nothing here speaks for XLM-R.",
        ],
    )
    files = matrix.write(out)
    return DemoReport(matrix, files, time.monotonic() - started)


def _ways(
    target: str, backbone: Backbone, sources: dict[str, Run], out: Path, common: dict[str, Any]
) -> list[tuple[str, Run]]:
    plans: list[tuple[str, str, list[Run]]] = [(BASELINE, "baseline", [])]
    plans += [(f"stack on {name}", "stack", [run]) for name, run in sources.items()]
    plans.append(("fuse both, stack", "fuse", list(sources.values())))
    runs = []
    for way, strategy, used in plans:
        folder = out / "-".join([target, strategy, *(run.folder.name for run in used)])
        run = train_target(
            target,
            backbone,
            strategy=strategy,
            sources=used,
            adapter=_SPEC,
            out=folder,
            **(_TARGET_OPTIONS | common),
        )
        runs.append((way, run))
    return runs
