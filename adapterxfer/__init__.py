"""adapterxfer: English intermediate tasks as stackable adapters and LoRA modules on a frozen multilingual encoder.

    import adapterxfer as ax
    backbone = ax.load_backbone("mini")
    nli = ax.train_intermediate("sample_nli", backbone, ax.lora(r=8))
    run = ax.train_target("sample_paraphrase", backbone, ax.Stack(nli, ax.lora(r=8)))
    print(ax.evaluate(run, languages=["de", "sw"]).table())

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapterxfer.backbone import Backbone, load_backbone
    from adapterxfer.engine.encoder import encode
    from adapterxfer.engine.fold import folded_state
    from adapterxfer.errors import AdapterxferError, RunError, UserError
    from adapterxfer.features.rows import Comparison
    from adapterxfer.modules.attach import attach
    from adapterxfer.modules.compose import compose
    from adapterxfer.modules.expression import Average, BatchSplit, Continue, Fuse, Merge, Parallel, Stack, Trained
    from adapterxfer.modules.parse import parse_expression
    from adapterxfer.modules.specs import bottleneck, compacter, ia3, lora, prefix
    from adapterxfer.tasks import list_tasks, load_task
    from adapterxfer.transfer.asked import Training
    from adapterxfer.transfer.evaluate import Scores, evaluate, load_run
    from adapterxfer.transfer.predict import predict
    from adapterxfer.transfer.run import Run, open_run
    from adapterxfer.transfer.train import train_intermediate, train_target, train_together

__version__ = "0.1.0"

_HOME = {
    "adapterxfer.backbone": ("Backbone", "load_backbone"),
    "adapterxfer.errors": ("AdapterxferError", "RunError", "UserError"),
    "adapterxfer.features.rows": ("Comparison",),
    "adapterxfer.engine.encoder": ("encode",),
    "adapterxfer.engine.fold": ("folded_state",),
    "adapterxfer.modules.attach": ("attach",),
    "adapterxfer.modules.compose": ("compose",),
    "adapterxfer.modules.expression": (
        "Average",
        "BatchSplit",
        "Continue",
        "Fuse",
        "Merge",
        "Parallel",
        "Stack",
        "Trained",
    ),
    "adapterxfer.modules.parse": ("parse_expression",),
    "adapterxfer.modules.specs": ("bottleneck", "compacter", "ia3", "lora", "prefix"),
    "adapterxfer.tasks": ("list_tasks", "load_task"),
    "adapterxfer.transfer.evaluate": ("Scores", "evaluate", "load_run"),
    "adapterxfer.transfer.predict": ("predict",),
    "adapterxfer.transfer.run": ("Run", "open_run"),
    "adapterxfer.transfer.train": ("train_intermediate", "train_target", "train_together"),
    "adapterxfer.transfer.asked": ("Training",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "AdapterxferError",
    "Average",
    "Backbone",
    "BatchSplit",
    "Comparison",
    "Continue",
    "Fuse",
    "Merge",
    "Parallel",
    "Run",
    "RunError",
    "Scores",
    "Stack",
    "Trained",
    "Training",
    "UserError",
    "attach",
    "bottleneck",
    "compacter",
    "compose",
    "encode",
    "evaluate",
    "folded_state",
    "ia3",
    "list_tasks",
    "load_backbone",
    "load_run",
    "load_task",
    "lora",
    "open_run",
    "parse_expression",
    "predict",
    "prefix",
    "train_intermediate",
    "train_target",
    "train_together",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its home on first use."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'adapterxfer' has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted([*globals(), *_MODULE_OF])
