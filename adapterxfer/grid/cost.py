"""What a study costs before it is run: hours, peak memory and disk, from rates that were measured on one card.

The arithmetic: a data set of T tokens, all of them real (the engine does no work on padding), costs
    training     epochs x T / suffix rate, and the frozen prefix before it: T / prefix rate once where its output is
                 kept and shared, epochs x T / prefix rate in each run where it is not;
    evaluation   T / evaluation rate, and the prefix as above.
A run trains one module on one data set, a cell is a target run with its evaluation, a few-shot point goes on from a
cell for a fixed number of steps and is evaluated again. Reading, tokenising and writing are not in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

HALF_BYTES = 2  # of a number in bf16, in which a prefix is kept
_SECONDS = 3600.0


@dataclass(frozen=True)
class Encoder:
    """The sizes of an encoder that its arithmetic hangs on."""

    layers: int
    hidden: int
    wide: int

    def layer_flops(self, length: float) -> float:
        """Return the floating-point operations of one layer for one token in a row of `length` tokens, forward.

        Two for each weight of the six linear maps, and four for each number of a key and its value that a query meets.
        """
        return 2.0 * (4 * self.hidden**2 + 2 * self.hidden * self.wide) + 4.0 * length * self.hidden

    def prefix_flops(self, length: float, top: int) -> float:
        """Return those of the frozen layers below the `top` uppermost, for one token."""
        return (self.layers - top) * self.layer_flops(length)

    def evaluation_flops(self, length: float, top: int, module_weights: int = 0) -> float:
        """Return those of the `top` uppermost layers with modules of `module_weights` weights in each."""
        return top * (self.layer_flops(length) + 2.0 * module_weights)

    def training_flops(self, length: float, top: int, module_weights: int) -> float:
        """Return those of one token's training step through the `top` uppermost layers.

        Only what is needed counts. Frozen maps have no weight gradient, so their backward pass costs what the forward
        pass does; attention's costs twice that. Modules cost three times their forward pass. Below the lowest module,
        which stands behind its layer's maps, nothing goes backward; a LoRA inside that layer needs somewhat more.
        """
        linear, attention = self.layer_flops(0), self.layer_flops(length) - self.layer_flops(0)
        forward = self.evaluation_flops(length, top, module_weights)
        return forward + (top - 1) * (linear + 2.0 * attention) + top * 4.0 * module_weights


XLM_R_LARGE = Encoder(layers=24, hidden=1024, wide=4096)


@dataclass(frozen=True)
class Card:
    """A GPU: its rate at a large bf16 product in FLOP/s, its memory's bandwidth in bytes/s and size in bytes."""

    name: str
    matrix_rate: float
    bandwidth: float
    memory: float

    def __post_init__(self) -> None:
        for field in ("matrix_rate", "bandwidth", "memory"):
            if not getattr(self, field) > 0:
                raise ValueError(f"{self.name}: {field} must be more than 0, not {getattr(self, field)}")


@dataclass(frozen=True)
class Rate:
    """Real tokens a second of one pass, and the floating-point operations that one of its tokens needs."""

    tokens: float
    flops: float

    def share(self, card: Card) -> float:
        """Return the share of the card's matrix rate that the needed operations make: 1 at most."""
        return min(1.0, self.tokens * self.flops / card.matrix_rate)

    def on(self, measured: Card, other: Card) -> "Rate":
        """Return the rate on another card.

        The share of the time that the matrix rate explains shrinks or grows with the cards' matrix rates, the rest with
        their bandwidths. It is an estimate: what waits for neither scales with neither.
        """
        share = self.share(measured)
        stretch = share * measured.matrix_rate / other.matrix_rate + (1 - share) * measured.bandwidth / other.bandwidth
        return replace(self, tokens=self.tokens / stretch)


@dataclass(frozen=True)
class Rates:
    """What was measured on a card.

    Attributes:
        card: where.
        prefix: the frozen layers, forward.
        training: the layers with modules, forward and backward, for each strategy.
        evaluation: the layers with modules, forward, for each strategy.
        fixed_bytes: memory that weights and optimiser take.
        token_bytes: memory that one token of a training pass takes.
        token_budget: tokens of a pass with which this was measured; more than these gain nothing.
    """

    card: Card
    prefix: Rate
    training: Mapping[str, Rate]
    evaluation: Mapping[str, Rate]
    fixed_bytes: float
    token_bytes: float
    token_budget: int

    def on(self, card: Card) -> "Rates":
        """Return the rates on another card, scaled as `Rate.on` says.

        Raises:
            ValueError: when not even one token fits beside the weights there.
        """
        fits = int((card.memory - self.fixed_bytes) // self.token_bytes)
        if fits < 1:
            raise ValueError(f"{card.name}: the weights alone take {self.fixed_bytes:.0f} of {card.memory:.0f} bytes")
        return replace(
            self,
            card=card,
            prefix=self.prefix.on(self.card, card),
            training={name: rate.on(self.card, card) for name, rate in self.training.items()},
            evaluation={name: rate.on(self.card, card) for name, rate in self.evaluation.items()},
            token_budget=min(self.token_budget, fits),
        )


@dataclass(frozen=True)
class Data:
    """A task's data: rows to train on and rows to score in all its languages, and their mean length in tokens.

    `same_as` names the data whose training rows these are, so that a kept prefix serves both.
    """

    name: str
    rows: int
    length: float
    epochs: float = 1.0
    scored_rows: int = 0
    scored_length: float = 0.0
    same_as: str = ""

    @property
    def tokens(self) -> float:
        """Tokens of one epoch."""
        return self.rows * self.length

    @property
    def scored_tokens(self) -> float:
        """Tokens of one evaluation in all languages."""
        return self.scored_rows * self.scored_length


@dataclass(frozen=True)
class Shots:
    """The few-shot points that go on from each cell: `sizes` x `buckets`, each of `steps` updates of `rows` rows."""

    sizes: int = 3
    buckets: int = 5
    steps: int = 100
    rows: int = 16


@dataclass(frozen=True)
class Study:
    """A grid: every intermediate x target x strategy x seed; modules stand in the `top` uppermost layers.

    A strategy's name is a key of `Rates.training`. `module` is the one with which intermediates are trained.
    """

    intermediates: Sequence[Data]
    targets: Sequence[Data]
    strategies: Sequence[str]
    module: str
    top: int
    seeds: int = 3
    shots: Shots | None = None
    encoder: Encoder = XLM_R_LARGE

    @property
    def cells(self) -> int:
        """How many target runs the grid has at k = 0."""
        return len(self.intermediates) * len(self.targets) * len(self.strategies) * self.seeds

    @property
    def points(self) -> int:
        """How many evaluations: each cell's, and those of its few-shot points."""
        return self.cells * (1 + (self.shots.sizes * self.shots.buckets if self.shots else 0))


@dataclass(frozen=True)
class Cost:
    """Hours of each part on a card, the peak of its memory and what the kept prefixes take on the disk, in bytes."""

    card: str
    shared_prefix: bool
    intermediate_hours: float
    target_hours: float
    few_shot_hours: float
    evaluation_hours: float
    prefix_hours: float
    memory: float
    disk: float

    @property
    def hours(self) -> float:
        """All of it, one run after the other."""
        work = self.intermediate_hours + self.target_hours + self.few_shot_hours + self.evaluation_hours
        return work + self.prefix_hours


def cost(study: Study, rates: Rates, shared_prefix: bool = True) -> Cost:
    """Project what a study costs on the card of `rates`; scale them first with `Rates.on` for another card.

    Args:
        study: the grid.
        rates: tokens a second of each pass, at this study's `top`.
        shared_prefix: whether the frozen layers' output of each data set is computed once and kept. Few-shot rows are
            so few that theirs is computed anew in either case.

    Raises:
        ValueError: for a strategy without a rate.
    """
    for name in {study.module, *study.strategies}:
        if name not in rates.training or name not in rates.evaluation:
            raise ValueError(f"no measured rate for {name!r}: training and evaluation are needed")
    frozen = study.encoder.layers - study.top
    trained = sum(data.epochs * data.tokens for data in study.intermediates) * study.seeds
    runs_of_target = len(study.intermediates) * study.seeds  # for each strategy
    target_tokens = sum(data.epochs * data.tokens for data in study.targets)
    scored_tokens = sum(data.scored_tokens for data in study.targets)
    shots = study.shots
    per_cell = shots.sizes * shots.buckets if shots else 0
    shot_tokens = sum(shots.steps * shots.rows * data.length for data in study.targets) * per_cell if shots else 0.0

    target_seconds = few_seconds = scored_seconds = 0.0
    for name in study.strategies:
        target_seconds += runs_of_target * target_tokens / rates.training[name].tokens
        few_seconds += runs_of_target * shot_tokens / rates.training[name].tokens
        scored_seconds += runs_of_target * (1 + per_cell) * scored_tokens / rates.evaluation[name].tokens

    every = runs_of_target * len(study.strategies)
    once = sum(data.tokens for data in [*study.intermediates, *study.targets] if not data.same_as) + scored_tokens
    each = trained + every * (target_tokens + (1 + per_cell) * scored_tokens)
    prefix_tokens = ((once if shared_prefix else each) + every * shot_tokens) if frozen else 0.0
    kept = once if shared_prefix and frozen else 0.0
    return Cost(
        card=rates.card.name,
        shared_prefix=shared_prefix,
        intermediate_hours=trained / rates.training[study.module].tokens / _SECONDS,
        target_hours=target_seconds / _SECONDS,
        few_shot_hours=few_seconds / _SECONDS,
        evaluation_hours=scored_seconds / _SECONDS,
        prefix_hours=prefix_tokens / rates.prefix.tokens / _SECONDS,
        memory=rates.fixed_bytes + rates.token_budget * rates.token_bytes,
        disk=kept * study.encoder.hidden * HALF_BYTES,
    )
