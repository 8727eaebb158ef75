"""One training, as a person asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adapterxfer.errors import UserError
from adapterxfer.modules.expression import Expression, Stack, as_expression, leaves
from adapterxfer.modules.specs import Spec
from adapterxfer.modules.strategies import check_trains, strategy_expression
from adapterxfer.tasks import Task, load_task
from adapterxfer.tasks.protocols import DEFAULT_PROTOCOL
from adapterxfer.training.recipe import Recipe
from adapterxfer.transfer.planning import recipe_of
from adapterxfer.transfer.settings import check_protocol


@dataclass(frozen=True)
class Training:
    """One training, as it is asked for.

    Attributes:
        task: a task of the catalogue, or the path of a declaration.
        compose: what is trained: a spec, or a composition such as `ax.Stack(mnli, ax.bottleneck())`, or its text.
        role: "target": scored zero-shot in every language; "intermediate": scored in English.
        out: the run folder; `runs/<task>-<module>-seed<seed>` by default.
        languages: the languages to score; all whose files are there by default.
        data_dir: the folder of original files; by default the Hub's, at the commit that the task pins.
        protocol: modules, jiant or xtreme.
        top_layers: put the fresh module into so many uppermost layers only.
        epochs: passes over the training data; the protocol's by default.
        steps: updates, instead of epochs.
        batch_size: examples an update; the protocol's by default.
        lr: peak learning rate; the module kind's by default.
        seed: of fresh weights, order and dropout.
        train_with: a task whose English examples train this one, instead of the declared.
        max_examples: a fixed random draw of so many training examples, the same for every seed.
        max_eval_examples: score the first so many examples of each language.
        token_budget: padded tokens of one forward pass; what fits into memory by default.
    """

    task: str | Task
    compose: Any
    role: str = "target"
    out: str | Path | None = None
    languages: str | list[str] | None = None
    data_dir: str | Path | None = None
    protocol: str = DEFAULT_PROTOCOL
    top_layers: int | None = None
    epochs: float | None = None
    steps: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    seed: int = 0
    train_with: str | None = None
    max_examples: int | None = None
    max_eval_examples: int | None = None
    token_budget: int | None = None

    def declared(self) -> Task:
        """Return the task's declaration."""
        return self.task if isinstance(self.task, Task) else load_task(self.task)

    def expression(self) -> Expression:
        """Return what is to be trained, after a check of what can be seen without data or backbone.

        Raises:
            UserError: for a task or an option that cannot be.
        """
        task = self.declared()
        if task.training_task is None:
            said = "it is evaluated only" if self.role == "intermediate" else "score it with `adapterxfer evaluate`"
            raise UserError(f"task {task.name} has no training data; {said}.")
        if task.kind == "mlm":
            raise UserError(f"task {task.name} is text to go along with others; no module is trained on it alone.")
        check_protocol(self.protocol)
        expression = _in_top_layers(as_expression(self.compose), self.top_layers)
        check_trains(expression)
        for option, value in (
            ("--max-examples", self.max_examples),
            ("--max-eval-examples", self.max_eval_examples),
        ):
            if value is not None and value < 1:
                raise UserError(f"{option} {value} is out of range.")
        return expression

    def folder(self, expression: Expression) -> Path:
        """Return the run folder."""
        default = Path("runs") / _default_name(self.declared(), expression, self.seed)
        return Path(self.out).expanduser() if self.out else default

    def recipe(self, expression: Expression) -> Recipe:
        """Return the hyper-parameters: the protocol's, and what is said instead.

        Raises:
            UserError: for a value that cannot be trained with.
        """
        return recipe_of(
            self.declared(),
            self.protocol,
            expression,
            epochs=self.epochs,
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.lr,
            seed=self.seed,
            token_budget=self.token_budget,
        )

    def with_seeds(self, seeds: Sequence[int]) -> list["Training"]:
        """Return the same training from each seed; several have run folders that end in their seed."""
        if self.out is None or len(seeds) == 1:
            return [replace(self, seed=seed) for seed in seeds]
        return [replace(self, seed=seed, out=f"{self.out}-seed{seed}") for seed in seeds]


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


def composition_of(compose: Any, strategy: str | None, sources: list[Any], spec: Spec) -> Expression:
    """Return the composition that is given, or that a strategy stands for.

    Raises:
        UserError: when both or neither are given, or they are wrong.
    """
    if (compose is None) == (strategy is None):
        raise UserError("give either a composition (--compose) or a --strategy.")
    return as_expression(compose) if compose is not None else strategy_expression(strategy or "", sources, spec)


def seeds_of(text: str) -> list[int]:
    """Return the seeds of a text such as "0,1,2".

    Raises:
        UserError: when it is not whole numbers, each once.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words) or len(set(map(int, words))) < len(words):
        raise UserError(f"--seed {text}: give a whole number from 0 on, or several different ones, as 0,1,2.")
    return [int(word) for word in words]
