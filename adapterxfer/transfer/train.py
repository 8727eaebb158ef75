"""The verbs that train: an intermediate task, a target task on top of trained modules, and several at once."""

import contextlib
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapterxfer.backbone import Backbone
from adapterxfer.errors import UserError
from adapterxfer.modules.attach import attach, parts_of
from adapterxfer.modules.expression import Expression
from adapterxfer.modules.parse import parse_spec
from adapterxfer.modules.specs import Bottleneck, Spec
from adapterxfer.tasks import Task, TrainingSet, check_lineage, load_task, training_set, training_source
from adapterxfer.tasks.catalogue import check_same_head
from adapterxfer.tasks.lineage import rules_of
from adapterxfer.tasks.load import with_labels
from adapterxfer.training.recipe import Recipe
from adapterxfer.transfer.asked import Training, composition_of
from adapterxfer.transfer.carry_out import carry_out
from adapterxfer.transfer.kept import feature_cache, kept_examples
from adapterxfer.transfer.plan import Plan
from adapterxfer.transfer.run import Run, run_folder
from adapterxfer.transfer.scoring import chosen_languages
from adapterxfer.transfer.selection import english_split
from adapterxfer.transfer.settings import DEFAULT_BACKBONE, backbone_of, data_folder

_SEED_OF_THE_DRAW = 0


def train_intermediate(
    task: str | Task,
    backbone: Backbone | str = DEFAULT_BACKBONE,
    adapter: str | Spec = Bottleneck(),  # noqa: B008  (frozen)
    *,
    out: str | Path | None = None,
    **options: Any,
) -> Run:
    """Train an English task as one fresh module on the frozen backbone, and score it on its English evaluation split.

    Args:
        task: a task of the catalogue, or the path of a declaration.
        backbone: a loaded backbone or its name.
        adapter: the spec of the module, e.g. `ax.lora(r=16)` or "bottleneck(reduction=4)".
        out: the run folder; `runs/<task>-<module>-seed<seed>` by default.
        **options: see `train_target`, which takes the same.

    Returns:
        The finished run.

    Raises:
        UserError: for wrong input, named in one sentence.
        RunError: when a NaN loss, a full disk or a signal stopped it; `resume=True` goes on.
    """
    return _alone(backbone, task=task, compose=parse_spec(adapter), role="intermediate", out=out, **options)


def train_target(
    task: str | Task,
    backbone: Backbone | str = DEFAULT_BACKBONE,
    compose: Any = None,
    *,
    strategy: str | None = None,
    sources: list[Any] | None = None,
    adapter: str | Spec = Bottleneck(),  # noqa: B008  (frozen)
    out: str | Path | None = None,
    languages: str | list[str] | None = None,
    **options: Any,
) -> Run:
    """Train a target task on English through a composition, and score it zero-shot in every language there is.

    Args:
        task: a task of the catalogue, or the path of a declaration.
        backbone: a loaded backbone or its name.
        compose: the composition, e.g. `ax.Stack(mnli, ax.bottleneck())`; or None with `strategy`.
        strategy: baseline, stack, continue, fuse or merge: short for the composition of `sources` and `adapter`.
        sources: trained runs or modules for `strategy`.
        adapter: the spec of the fresh module for `strategy`.
        out: the run folder; `runs/<task>-<module>-seed<seed>` by default.
        languages: the languages to score; all whose files are there by default.
        **options: data_dir, precision, protocol ("modules"), top_layers, epochs, steps, batch_size, lr, seed (0),
            train_with (a task whose English examples train this one, instead of the declared),
            max_examples (a fixed random draw of so many training examples, the same for every seed),
            max_eval_examples (the first so many of each language), token_budget, resume.

    Returns:
        The finished run.

    Raises:
        UserError: for wrong input, named in one sentence.
        RunError: when a NaN loss, a full disk or a signal stopped it; `resume=True` goes on.
    """
    expression = composition_of(compose, strategy, list(sources or []), parse_spec(adapter))
    return _alone(backbone, task=task, compose=expression, out=out, languages=languages, **options)


def train_together(
    trainings: Sequence[Training],
    backbone: Backbone | str = DEFAULT_BACKBONE,
    *,
    precision: str | None = None,
    resume: bool = False,
) -> list[Run]:
    """Train several models in one pass over one backbone: seeds, learning rates, compositions or tasks.

    Each ends up as if it had been trained alone, in a run folder of its own. They read each frozen weight once for all
    of them, and share the kept output of the layers below everything that trains.

    Args:
        trainings: what is to be trained; each needs a run folder of its own.
        backbone: a loaded backbone or its name.
        precision: fp32, bf16, fp16, int8, nf4, or auto.
        resume: take finished runs as they are, and go on with unfinished ones.

    Returns:
        The finished runs, in the order of `trainings`.

    Raises:
        UserError: for wrong input, named in one sentence, before anything is trained.
        RunError: when a loss that is no number, a full disk or a signal stopped it; `resume=True` goes on.
    """
    started = time.monotonic()
    expressions = [one.expression() for one in trainings]
    folders = [one.folder(expression) for one, expression in zip(trainings, expressions, strict=True)]
    for folder in folders:
        if folders.count(folder) > 1:
            raise UserError(f"two of the trainings have the run folder {folder}; give each an --out of its own.")
    open_ones = [n for n, folder in enumerate(folders) if not (resume and (folder / "run.json").is_file())]
    if open_ones:
        recipes = [one.recipe(expression) for one, expression in zip(trainings, expressions, strict=True)]
        datas = [data_folder(one.data_dir) for one in trainings]
        for one, expression in zip(trainings, expressions, strict=True):
            parts_of(expression, one.declared().name)  # what cannot be composed must show before the backbone is loaded
        loaded = backbone_of(backbone, precision)
        plans = [_plan(trainings[n], expressions[n], recipes[n], datas[n], loaded) for n in open_ones]
        with contextlib.ExitStack() as stack:
            works = [
                stack.enter_context(run_folder(folders[n], plan.identity(), resume))
                for n, plan in zip(open_ones, plans, strict=True)
            ]
            carry_out(plans, works, started)
    return [Run(folder) for folder in folders]


def _alone(backbone: Backbone | str, *, precision: str | None = None, resume: bool = False, **options: Any) -> Run:
    [run] = train_together([Training(**options)], backbone, precision=precision, resume=resume)
    return run


def _plan(training: Training, expression: Expression, recipe: Recipe, data: Path | None, backbone: Backbone) -> Plan:
    """Read what the training needs and build its model."""
    task = with_labels(training.declared(), data)
    if training.train_with:
        trained_with = with_labels(load_task(training.train_with), data)
        check_same_head(task, trained_with)
    else:
        trained_with = training_source(task) or task
    wanted = ["en"] if training.role == "intermediate" else training.languages
    scored = chosen_languages(task, task.evaluation_split, wanted, data)
    shared = [load_task(rule.task) for rule, _ in rules_of(trained_with) if rule.action == "filter"]
    material = _draw(training_set(trained_with, data, protects=[task, *shared]), training.max_examples)
    cache = feature_cache()
    for language in scored:
        kept_examples(task, task.evaluation_split, language, data, cache)  # a bad row must show now, not after hours
    attached = attach(backbone, expression, task.name, recipe.seed)
    return Plan(
        task=task,
        role=training.role,
        trained_with=trained_with,
        expression=expression,
        attached=attached,
        recipe=recipe,
        protocol=training.protocol,
        data_dir=data,
        material=material,
        languages=scored,
        max_examples=training.max_examples,
        max_eval_examples=training.max_eval_examples,
        selected_on=english_split(task, trained_with, data) if recipe.select_every else None,
        notes=check_lineage(attached.trained_on, task, task.evaluation_split, attached.protected),
    )


def _draw(material: TrainingSet, max_examples: int | None) -> TrainingSet:
    """Return at most `max_examples` examples, drawn once and for all: the training seed does not change them."""
    if max_examples is None or max_examples >= len(material.examples):
        return material
    chosen = sorted(random.Random(_SEED_OF_THE_DRAW).sample(range(len(material.examples)), max_examples))
    return replace(material, examples=[material.examples[index] for index in chosen])
