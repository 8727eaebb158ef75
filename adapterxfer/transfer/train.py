"""The verbs that train: an intermediate task, and a target task on top of trained modules."""

import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from adapterxfer.backbone import Backbone
from adapterxfer.errors import UserError
from adapterxfer.features.contrast import contrasted
from adapterxfer.files import sha256_json, write_json, write_text
from adapterxfer.modules.attach import attach, parts_of
from adapterxfer.modules.expression import Expression, Stack, as_expression, leaves
from adapterxfer.modules.heads import DUAL_KINDS, Head
from adapterxfer.modules.parse import parse_spec
from adapterxfer.modules.specs import Bottleneck, Spec
from adapterxfer.modules.strategies import check_trains, strategy_expression
from adapterxfer.tasks import (
    Task,
    TrainingSet,
    check_lineage,
    load_candidates,
    load_task,
    training_set,
    training_source,
)
from adapterxfer.tasks.catalogue import check_same_head
from adapterxfer.tasks.lineage import rules_of
from adapterxfer.tasks.load import with_labels
from adapterxfer.tasks.protocols import DEFAULT_PROTOCOL
from adapterxfer.training.loop import train
from adapterxfer.transfer.kept import feature_cache, kept_examples
from adapterxfer.transfer.plan import Plan, own_path
from adapterxfer.transfer.planning import feature_settings, recipe_of, view_of
from adapterxfer.transfer.run import Run, run_folder
from adapterxfer.transfer.scoring import chosen_languages, score_languages
from adapterxfer.transfer.selection import english_score, english_split
from adapterxfer.transfer.settings import DEFAULT_BACKBONE, backbone_of, check_protocol, data_folder

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
    declared = task if isinstance(task, Task) else load_task(task)
    if declared.training_task is None:
        raise UserError(f"task {declared.name} has no training data; it is evaluated only.")
    if declared.kind == "mlm":
        raise UserError(f"task {declared.name} is text to go along with others; no module is trained on it alone.")
    return _train(declared, "intermediate", backbone, parse_spec(adapter), out, ["en"], **options)


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
    declared = task if isinstance(task, Task) else load_task(task)
    if declared.training_task is None:
        raise UserError(f"task {declared.name} has no training data; score it with `adapterxfer evaluate`.")
    if (compose is None) == (strategy is None):
        raise UserError("give either a composition (--compose) or a --strategy.")
    if compose is not None:
        expression = as_expression(compose)
    else:
        expression = strategy_expression(strategy or "", list(sources or []), parse_spec(adapter))
    check_trains(expression)
    return _train(declared, "target", backbone, expression, out, languages, **options)


def _train(
    task: Task,
    role: str,
    backbone: Backbone | str,
    expression: Expression,
    out: str | Path | None,
    languages: str | list[str] | None,
    *,
    data_dir: str | Path | None = None,
    precision: str | None = None,
    protocol: str = DEFAULT_PROTOCOL,
    top_layers: int | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    seed: int = 0,
    train_with: str | None = None,
    max_examples: int | None = None,
    max_eval_examples: int | None = None,
    token_budget: int | None = None,
    resume: bool = False,
) -> Run:
    started = time.monotonic()
    check_protocol(protocol)
    expression = _in_top_layers(expression, top_layers)
    recipe = recipe_of(
        task,
        protocol,
        expression,
        epochs=epochs,
        steps=steps,
        batch_size=batch_size,
        learning_rate=lr,
        seed=seed,
        token_budget=token_budget,
    )
    for option, value in (("--max-examples", max_examples), ("--max-eval-examples", max_eval_examples)):
        if value is not None and value < 1:
            raise UserError(f"{option} {value} is out of range.")
    folder = Path(out).expanduser() if out else Path("runs") / _default_name(task, expression, seed)
    if resume and (folder / "run.json").is_file():
        return Run(folder)
    data = data_folder(data_dir)
    parts_of(expression, task.name)  # what cannot be composed must show before the backbone is loaded
    loaded = backbone_of(backbone, precision)

    task = with_labels(task, data)
    trained_with = with_labels(load_task(train_with), data) if train_with else training_source(task) or task
    if train_with:
        check_same_head(task, trained_with)
    scored = chosen_languages(task, task.evaluation_split, languages, data)
    shared = [load_task(rule.task) for rule, _ in rules_of(trained_with) if rule.action == "filter"]
    material = _draw(training_set(trained_with, data, protects=[task, *shared]), max_examples)
    cache = feature_cache()
    for language in scored:
        kept_examples(task, task.evaluation_split, language, data, cache)  # a bad row must show now, not after hours
    attached = attach(loaded, expression, task.name, seed)
    plan = Plan(
        task=task,
        role=role,
        trained_with=trained_with,
        attached=attached,
        recipe=recipe,
        protocol=protocol,
        data_dir=data,
        material=material,
        languages=scored,
        max_examples=max_examples,
        max_eval_examples=max_eval_examples,
        selected_on=english_split(task, trained_with, data) if recipe.select_every else None,
        notes=check_lineage(attached.trained_on, task, task.evaluation_split, attached.protected),
    )
    with run_folder(folder, plan.identity(), resume) as work:
        _carry_out(plan, work, started)
    return Run(folder)


def _carry_out(plan: Plan, work: Path, started: float) -> None:
    """Train and score what is planned; leave everything a run folder holds in `work`."""
    task, attached = plan.task, plan.attached
    settings = feature_settings(task, plan.protocol, attached.backbone.max_length)
    examples: list[Any] = list(plan.material.examples)
    if task.kind == "entity_retrieval":
        wanted = {mention.entity for mention in examples}
        examples += [one for one in load_candidates(plan.trained_with, plan.data_dir) if one.identifier in wanted]
    rows = feature_cache().rows(task, examples, attached.backbone.tokenizer, settings)
    head = new_head(task, attached.backbone, plan.recipe.seed, view_of(task, plan.protocol, 0)[1])
    if head.dual:
        rows = contrasted(rows)
    looks = None
    if plan.selected_on is not None:
        looks = english_score(attached, head, *plan.selected_on, plan.data_dir, plan.protocol)
    summary = train(attached, head, rows, plan.recipe, work, sha256_json(plan.identity()), looks)
    attached.save(work)
    head.save(work / "head")
    metrics = score_languages(
        attached,
        head,
        task,
        split=task.evaluation_split,
        languages=plan.languages,
        data_dir=plan.data_dir,
        protocol=plan.protocol,
        max_examples=plan.max_eval_examples,
        folder=work,
    )
    write_json(work / "metrics.json", metrics)
    own = own_path(task)
    if own is not None:
        write_text(work / "task.yaml", yaml.safe_dump(dict(task.content), allow_unicode=True, sort_keys=False))
    write_json(work / "run.json", plan.record(summary, rows.notes, time.monotonic() - started))


def new_head(task: Task, backbone: Backbone, seed: int, pooling: str = "mean") -> Head:
    """Return a fresh head for the task, drawn from `seed`; `pooling` is how a dual encoder makes its vectors."""
    import torch

    torch.manual_seed(seed)
    if task.kind in DUAL_KINDS:
        return Head(task.kind, backbone.hidden_size, pooling=pooling)
    return Head(task.kind, backbone.hidden_size, task.labels)


def _in_top_layers(expression: Expression, top_layers: int | None) -> Expression:
    if top_layers is None:
        return expression
    if isinstance(expression, Spec):
        return expression.with_top_layers(top_layers)
    *below, fresh = expression.children if isinstance(expression, Stack) else (expression,)
    if not isinstance(fresh, Spec):
        raise UserError(f"--top-layers {top_layers} is for a fresh module, and {expression} has none.")
    return Stack(*below, fresh.with_top_layers(top_layers))


def _default_name(task: Task, expression: Expression, seed: int) -> str:
    fresh = [leaf.word for leaf, _ in leaves(expression) if isinstance(leaf, Spec)]
    kind = type(expression).__name__.lower() if not isinstance(expression, Spec) else expression.word
    return "-".join(dict.fromkeys([task.name, kind, *fresh])) + f"-seed{seed}"


def _draw(material: TrainingSet, max_examples: int | None) -> TrainingSet:
    """Return at most `max_examples` examples, drawn once and for all: the training seed does not change them."""
    if max_examples is None or max_examples >= len(material.examples):
        return material
    chosen = sorted(random.Random(_SEED_OF_THE_DRAW).sample(range(len(material.examples)), max_examples))
    return replace(material, examples=[material.examples[index] for index in chosen])
