"""Carrying out what is planned: train, restart what does not learn, save, score, and write the records."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from adapterxfer.backbone import Backbone
from adapterxfer.engine.prefix import Prefix, kept_prefix
from adapterxfer.errors import RunError
from adapterxfer.features.contrast import contrasted
from adapterxfer.features.rows import Rows
from adapterxfer.files import read_json, sha256_json, write_json, write_text
from adapterxfer.modules.heads import DUAL_KINDS, Head
from adapterxfer.tasks import Task, load_candidates
from adapterxfer.training.course import Job, Trained
from adapterxfer.training.loop import train
from adapterxfer.transfer.kept import feature_cache
from adapterxfer.transfer.plan import Plan, own_path
from adapterxfer.transfer.planning import feature_settings, view_of
from adapterxfer.transfer.scoring import Scored, score_languages
from adapterxfer.transfer.selection import english_score

RESTARTS = "restarts.json"


def carry_out(plans: Sequence[Plan], works: Sequence[Path], started: float) -> None:
    """Train and score what is planned, together; leave everything a run folder holds in each of `works`.

    A training that does not learn (health.py) is begun once more, from the next seed.

    Args:
        plans: what is to be trained, all on one backbone.
        works: the folder of each.
        started: `time.monotonic()` when the work began.

    Raises:
        RunError: when the loss of a second attempt is no number or runs away; see also `train`.
    """
    attempts = [_Attempt.of(plan, work) for plan, work in zip(plans, works, strict=True)]
    while waiting := [attempt for attempt in attempts if attempt.trained is None]:
        for attempt, trained in zip(waiting, train([attempt.job() for attempt in waiting]), strict=True):
            attempt.take(trained)
    for attempt in attempts:
        attempt.plan.attached.save(attempt.work)
        attempt.head.save(attempt.work / "head")
    _score(attempts)
    for attempt in attempts:
        attempt.record(time.monotonic() - started)


@dataclass
class _Attempt:
    """A plan and where it stands: its latest model, and the seeds given up before."""

    plan: Plan
    work: Path
    rows: Rows
    head: Head
    restarts: list[dict[str, Any]] = field(default_factory=list)
    trained: Trained | None = None

    @classmethod
    def of(cls, plan: Plan, work: Path) -> "_Attempt":
        """Return the attempt that a plan begins with, or stands at where it was interrupted."""
        path = work / RESTARTS
        restarts = read_json(path) if path.is_file() else []
        if restarts:
            plan = plan.anew(plan.recipe.seed + len(restarts))
        return cls(plan, work, _rows(plan), _head(plan), restarts)

    def job(self) -> Job:
        """Return what the training loop is to do."""
        plan = self.plan
        looks = None
        if plan.selected_on is not None:
            looks = english_score(plan.attached, self.head, *plan.selected_on, plan.data_dir, plan.protocol)
        return Job(
            plan.attached,
            self.head,
            self.rows,
            plan.recipe,
            self.work,
            sha256_json(plan.identity()),
            looks,
            _prefix(plan, self.rows),
            patient=bool(self.restarts),
        )

    def take(self, trained: Trained) -> None:
        """Take what the training says of itself; where it failed, go to the next seed.

        Raises:
            RunError: when it failed before.
        """
        if not trained.failure:
            self.trained = trained
            return
        seed = self.plan.recipe.seed
        if self.restarts:
            before = self.restarts[0]
            raise RunError(
                f"with seed {before['seed']} {before['why']}, with seed {seed} {trained.failure}: train anew with a "
                f"lower --lr; {self.work} keeps the log and the last checkpoint."
            )
        sys.stderr.write(f"{self.plan.task.name}: {trained.failure}; starting once more with seed {seed + 1}\n")
        self.restarts.append({"seed": seed, "why": trained.failure})
        write_json(self.work / RESTARTS, self.restarts)
        (self.work / "checkpoint.safetensors").unlink(missing_ok=True)
        self.plan = self.plan.anew(seed + 1)
        self.head = _head(self.plan)

    def record(self, seconds: float) -> None:
        """Write run.json, and the declaration of a user's own task."""
        assert self.trained is not None
        task = self.plan.task
        if own_path(task) is not None:
            text = yaml.safe_dump(dict(task.content), allow_unicode=True, sort_keys=False)
            write_text(self.work / "task.yaml", text)
        write_json(self.work / "run.json", self.plan.record(self.trained, self.restarts, self.rows.notes, seconds))


def _score(attempts: Sequence[_Attempt]) -> None:
    """Score the models, those of one task and the same languages together; write each one's metrics.json."""
    groups: dict[str, list[_Attempt]] = {}
    for attempt in attempts:
        plan = attempt.plan
        same = [plan.task.digest(), plan.task.labels, plan.languages, str(plan.data_dir), plan.protocol]
        groups.setdefault(json.dumps([*same, plan.max_eval_examples]), []).append(attempt)
    for group in groups.values():
        plan = group[0].plan
        found = score_languages(
            [Scored(attempt.plan.attached, attempt.head, attempt.work) for attempt in group],
            plan.task,
            split=plan.task.evaluation_split,
            languages=plan.languages,
            data_dir=plan.data_dir,
            protocol=plan.protocol,
            max_examples=plan.max_eval_examples,
        )
        for attempt, metrics in zip(group, found, strict=True):
            write_json(attempt.work / "metrics.json", metrics)


def _rows(plan: Plan) -> Rows:
    """Return the training examples as rows."""
    task, attached = plan.task, plan.attached
    settings = feature_settings(task, plan.protocol, attached.backbone.max_length)
    examples: list[Any] = list(plan.material.examples)
    if task.kind == "entity_retrieval":
        wanted = {mention.entity for mention in examples}
        examples += [one for one in load_candidates(plan.trained_with, plan.data_dir) if one.identifier in wanted]
    rows = feature_cache().rows(task, examples, attached.backbone.tokenizer, settings)
    return contrasted(rows) if task.kind in DUAL_KINDS else rows


def _prefix(plan: Plan, rows: Rows) -> Prefix | None:
    """Return the frozen layers' output for all rows, where the training is to see each of them at least once."""
    groups = len(set(rows.group.tolist()))
    per_epoch = -(-groups // plan.recipe.batch_size)
    if plan.recipe.updates(per_epoch) < per_epoch:
        return None
    return kept_prefix(plan.attached, rows, label=f"{plan.trained_with.name}, frozen layers")


def _head(plan: Plan) -> Head:
    return new_head(plan.task, plan.attached.backbone, plan.recipe.seed, view_of(plan.task, plan.protocol, 0)[1])


def new_head(task: Task, backbone: Backbone, seed: int, pooling: str = "mean") -> Head:
    """Return a fresh head for the task, drawn from `seed`; `pooling` is how a dual encoder makes its vectors."""
    import torch

    torch.manual_seed(seed)
    if task.kind in DUAL_KINDS:
        return Head(task.kind, backbone.hidden_size, pooling=pooling)
    return Head(task.kind, backbone.hidden_size, task.labels)
