"""A training run before it begins: everything it will use, its identity, and what run.json will say of it."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import adapterxfer.tasks
from adapterxfer.engine.encoder import path_of
from adapterxfer.engine.prefix import prefix_depth
from adapterxfer.files import sha256_file, sha256_json
from adapterxfer.modules.attach import Attached, attach
from adapterxfer.modules.expression import Expression
from adapterxfer.tasks import Task, TrainingSet
from adapterxfer.tasks.catalogue import union_of
from adapterxfer.training.course import Trained
from adapterxfer.training.recipe import Recipe
from adapterxfer.transfer.settings import environment


@dataclass(frozen=True)
class Plan:
    """What one run trains and scores.

    `trained_with` is the task whose training data `material` came from; `expression` is what `attached` was built from;
    `languages` are those to be scored; `notes` what a reader must know of overlaps; `selected_on` is the task and split
    whose English examples choose the update that is kept, None where the last one is; `max_examples` and
    `max_eval_examples` bound training and scoring.
    """

    task: Task
    role: str
    trained_with: Task
    expression: Expression
    attached: Attached
    recipe: Recipe
    protocol: str
    data_dir: Path | None
    material: TrainingSet
    languages: list[str]
    max_examples: int | None
    max_eval_examples: int | None
    selected_on: tuple[Task, str] | None
    notes: list[str]

    def identity(self) -> dict[str, Any]:
        """Return what must be equal for an interrupted run to be resumed; it names no folder, so runs may move."""
        parts = [part for part in self.attached.parts if part.source]
        return {
            "task": self.task.digest(),
            "role": self.role,
            "composition": self.attached.requested,
            "modules": {part.name: part.source.digest() for part in parts if part.source},
            "recipe": asdict(self.recipe),
            "protocol": self.protocol,
            "backbone": self.attached.backbone.digest,
            "precision": self.attached.backbone.precision,
            "data": self._data(),
            "max_examples": self.max_examples,
            "max_eval_examples": self.max_eval_examples,
            "languages": self.languages,
        }

    def _data(self) -> str:
        """Return the digest of the training data: of its files, or of the Hub's pinned revision, which is declared."""
        digests = [sha256_file(path) for path in self.material.files]
        if self.material.origin:
            declared = [self.trained_with, *union_of(self.trained_with)]
            digests += [self.material.origin, *(task.digest() for task in declared)]
        return sha256_json(digests)

    def selection(self) -> str:
        """Say which update is kept, and what was looked at to choose it."""
        if self.selected_on is None:
            return "the last update; no evaluation data is looked at"
        task, split = self.selected_on
        return f"the best of a look every {self.recipe.select_every} updates at {task.name}, split {split}, in English"

    def anew(self, seed: int) -> "Plan":
        """Return the same training from another seed, its model built anew."""
        attached = attach(self.attached.backbone, self.expression, self.task.name, seed)
        return replace(self, attached=attached, recipe=replace(self.recipe, seed=seed))

    def record(
        self, summary: Trained, restarts: list[dict[str, Any]], features: dict[str, int], seconds: float
    ) -> dict[str, Any]:
        """Return the content of run.json once the run is done.

        Args:
            summary: what the training says of itself.
            restarts: the seeds given up, and why.
            features: what was truncated or split on the way to features, counted.
            seconds: wall time of everything.
        """
        attached, task, material = self.attached, self.task, self.material
        own = own_path(task)
        protected = [n for n in material.protected if attached.protected is None or n in attached.protected]
        return {
            "name": task.name,
            "role": self.role,
            "task": {
                "name": task.name,
                "version": task.version,
                "digest": task.digest(),
                "path": str(own) if own else None,
            },
            "trained_on": list(dict.fromkeys([*attached.trained_on, self.trained_with.name])),
            "protected": protected,
            "composition": attached.describe(),
            "trainable_parameters": sum(parameter.numel() for parameter in attached.trainable().values()),
            "recipe": asdict(self.recipe),
            "selection": self.selection(),
            "protocol": self.protocol,
            "backbone": {
                "name": attached.backbone.name,
                "digest": attached.backbone.digest,
                "precision": attached.backbone.precision,
            },
            "data": {
                "task": self.trained_with.name,
                "data_dir": str(self.data_dir.resolve()) if self.data_dir else None,
                "origin": self.material.origin or None,
                "files": {path.name: sha256_file(path) for path in material.files},
                "examples": len(material.examples),
                "dropped": material.dropped,
                "features": features,
            },
            "notes": self.notes,
            "training": {**asdict(summary), "restarts": restarts},
            "engine": {
                "path": path_of(attached),
                "frozen_layers": prefix_depth(attached),
                "precision": attached.backbone.policy.components,
                "dropout": "of the trained module alone; the frozen encoder and its attention drop nothing",
            },
            "identity": sha256_json(self.identity()),
            "seconds": round(seconds, 1),
            **environment(),
        }


def own_path(task: Task) -> Path | None:
    """Return where a user's own declaration stands; None for the catalogue's, which is found by name anywhere."""
    path = Path(task.path).resolve()
    return None if path.parent == Path(adapterxfer.tasks.__file__).resolve().parent / "catalog" else path
