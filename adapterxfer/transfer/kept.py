"""Examples, features and predictions, kept on disk between commands."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapterxfer.backbone.cache import cache_folder
from adapterxfer.features.cache import FeatureCache
from adapterxfer.modules.attach import Attached
from adapterxfer.modules.heads import Head
from adapterxfer.tasks import Task, files_of, load_examples
from adapterxfer.tasks.sources import uses_hub
from adapterxfer.transfer.kept_predictions import KeptPredictions


def feature_cache() -> FeatureCache:
    """Return the cache of this machine; ADAPTERXFER_CACHE_GB bounds it (10 by default, 0 keeps nothing)."""
    return FeatureCache(cache_folder() / "features")


def kept_predictions(attached: Attached, head: Head, layer: int | None = None) -> KeptPredictions:
    """Return what a model has predicted on this machine, as far as it is kept; ADAPTERXFER_CACHE_GB bounds it, too."""
    return KeptPredictions(cache_folder() / "predictions", attached, head, layer)


def kept_examples(task: Task, split: str, language: str, data_dir: Path | None, cache: FeatureCache) -> Sequence[Any]:
    """Return the examples of one split and language; those of original files from the cache, if they are there.

    Raises:
        UserError: for data that cannot be read or carries no gold labels.
    """
    if task.union or uses_hub(task, split, data_dir):
        return tuple(load_examples(task, split, language, data_dir))
    identity = {"task": task.digest(), "split": split, "language": language}
    files = files_of(task, split, language, data_dir).all
    return cache.examples(identity, files, lambda: load_examples(task, split, language, data_dir))
