"""The verb that scores: a finished run on its own or another task, or a backbone alone on retrieval."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from adapterxfer.backbone import Backbone
from adapterxfer.errors import UserError
from adapterxfer.features.margin import SCORES
from adapterxfer.features.rows import Comparison
from adapterxfer.files import write_json
from adapterxfer.modules.attach import Attached, attach_run, bare
from adapterxfer.modules.heads import DUAL_KINDS, Head
from adapterxfer.tasks import Task, check_lineage, load_task
from adapterxfer.tasks.protocols import DEFAULT_PROTOCOL
from adapterxfer.tasks.schema import UNTRAINED_KINDS
from adapterxfer.transfer.planning import view_of
from adapterxfer.transfer.run import Run, open_run, run_task
from adapterxfer.transfer.scoring import Scored, chosen_languages, score_languages
from adapterxfer.transfer.settings import backbone_of, check_protocol, data_folder


@dataclass(frozen=True)
class Scores:
    """The scores of one evaluation; `as_dict()` is the content of metrics.json."""

    metrics: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return the content of metrics.json."""
        return self.metrics

    def table(self) -> str:
        """Return the scores as a text table, one language a line."""
        return scores_table(self.metrics)


def scores_table(metrics: dict[str, Any]) -> str:
    """Return a metrics.json as a text table: language, number of examples, score, the metric's parts, and averages.

    The score's 95% interval over examples stands last, where there is one.
    """
    languages: dict[str, dict[str, Any]] = metrics["languages"]
    rows = list(languages.values())
    parts = [key for key in rows[0] if key != "n" and all(isinstance(row.get(key), int | float) for row in rows)]

    def line(label: str, count: str, values: list[str], interval: list[float] | None = None) -> str:
        shown = label.ljust(12) + count.rjust(7) + "".join(value.rjust(18) for value in values)
        return shown + (f"[{interval[0]:.1f}, {interval[1]:.1f}]".rjust(18) if interval else "")

    lines = [f"{metrics['task']}, split {metrics['split']}, metric {metrics['metric']}, protocol {metrics['protocol']}"]
    lines.append(line("language", "n", [*parts, *(["95% interval"] if "average_interval" in metrics else [])]))
    for language, row in languages.items():
        lines.append(line(language, str(row["n"]), [f"{row[part]:.1f}" for part in parts], row.get("interval")))
    means = {
        "average": (rows, "average_interval"),
        "without en": ([row for name, row in languages.items() if name != "en"], "average_without_english_interval"),
    }
    for label, (chosen, interval) in means.items():
        if len(chosen) > 1 and (label == "average" or len(chosen) < len(rows)):
            values = [f"{sum(row[part] for row in chosen) / len(chosen):.1f}" for part in parts]
            lines.append(line(label, "", values, metrics.get(interval)))
    return "\n".join(lines)


def load_run(
    run: Run | str | Path, backbone: Backbone | str | None = None, precision: str | None = None
) -> tuple[Run, Attached, Head]:
    """Load a finished run for use: the run, its frozen model, and its head.

    Args:
        run: the run or its folder.
        backbone: a loaded backbone to share, or a name; the run's own by default.
        precision: the precision to load the backbone at; the run's own by default.

    Raises:
        UserError: when the run is unfinished, damaged, or of another backbone.
    """
    opened = open_run(run)
    try:
        own = opened.record["backbone"]
        name, own_precision = str(own["name"]), str(own["precision"])
    except (KeyError, TypeError) as error:
        raise UserError(f"{opened.folder / 'run.json'} is not the record of a run: {error} is missing.") from None
    loaded = backbone_of(backbone or name, precision or (own_precision if not isinstance(backbone, Backbone) else None))
    return opened, attach_run(loaded, opened.folder), Head.load(opened.folder / "head")


def evaluate(
    run: Run | str | Path | Backbone,
    task: str | Task | None = None,
    *,
    languages: str | list[str] | None = None,
    split: str | None = None,
    data_dir: str | Path | None = None,
    protocol: str | None = None,
    precision: str | None = None,
    max_eval_examples: int | None = None,
    layer: int | None = None,
    pooling: str | None = None,
    comparison: Comparison = Comparison(),  # noqa: B008  (frozen)
    backbone: Backbone | str | None = None,
) -> Scores:
    """Score a run in some or all languages, on its own task or another of the same kind and labels.

    A backbone (or its name) in the place of the run is scored as it is, which retrieval tasks allow.

    Args:
        run: a run, its folder, a backbone, or a backbone's name.
        task: the task to score; the run's own by default.
        languages: "all", "de,sw" or a list; all whose files are there by default.
        split: the split to score; the task's evaluation split by default.
        data_dir: where the original files are; where the run found them by default.
        protocol: modules, jiant or xtreme; the run's own by default.
        precision: of the backbone; the run's own by default.
        max_eval_examples: score the first so many examples of each language only.
        layer: read the encoder after this many layers (retrieval only); the protocol's by default.
        pooling: "mean" over the tokens or the "first" one (retrieval only); by default the run's own, where it was
            trained to retrieve and no layer is named, else the protocol's.
        comparison: how vectors are compared (retrieval and mining): cosine, csls, ratio or distance, centred, whitened.
        backbone: a loaded backbone to share between calls.

    Returns:
        The scores, also kept under `<run>/evaluations/`, with the predictions.

    Raises:
        UserError: for wrong input, named in one sentence.
    """
    folder: Path | None = None
    record: dict[str, Any] = {}
    if isinstance(run, Backbone) or _is_backbone_name(run):
        attached = bare(backbone_of(run, precision))  # type: ignore[arg-type]
        head, own = Head("retrieval", attached.backbone.hidden_size), None
        if task is None:
            raise UserError("a backbone alone is scored on a retrieval task: name one with --task, e.g. tatoeba.")
    else:
        opened, attached, head = load_run(run, backbone, precision)
        folder, record = opened.folder, opened.record
        own = run_task(opened)
    declared = own if task is None else task if isinstance(task, Task) else load_task(task)
    assert declared is not None
    if declared.open_labels and head.kind == declared.kind:
        declared = replace(declared, labels=head.labels)
    protocol = check_protocol(protocol or record.get("protocol", DEFAULT_PROTOCOL))
    if declared.kind in UNTRAINED_KINDS:
        head, layer = _view(declared, protocol, attached, head, layer, pooling)
    elif own is None:
        raise UserError(f"task {declared.name} needs a trained head; a backbone alone is scored on retrieval only.")
    elif declared.kind != head.kind or (head.kind in ("pair", "tagging") and declared.labels != head.labels):
        raise UserError(
            f"{folder} was trained on {own.name} ({head.kind}, labels {', '.join(head.labels) or 'none'}), "
            f"which cannot predict {declared.name} ({declared.kind}, labels {', '.join(declared.labels) or 'none'})."
        )
    elif layer is not None or pooling is not None or comparison != Comparison():
        raise UserError("--layer, --pooling, --retrieval-score, --centre and --whiten are for retrieval tasks.")
    _check_comparison(declared, comparison)
    data = data_folder(data_dir or record.get("data", {}).get("data_dir"))
    chosen_split = split or declared.evaluation_split
    if own is not None and declared.name == own.name and chosen_split == own.evaluation_split:
        notes = record["notes"]  # checked when it was trained
    else:
        notes = check_lineage(record.get("trained_on", []), declared, chosen_split, record.get("protected"))
    kept = folder / "evaluations" / f"{declared.name}-{chosen_split}" if folder else None
    [metrics] = score_languages(
        [Scored(attached, head, kept, layer)],
        declared,
        split=chosen_split,
        languages=chosen_languages(declared, chosen_split, languages, data),
        data_dir=data,
        protocol=protocol,
        max_examples=max_eval_examples,
        reuse=False,
        comparison=comparison,
    )
    if declared.kind in UNTRAINED_KINDS:
        metrics |= {"layer": layer if layer is not None else attached.backbone.layers, "pooling": head.pooling}
        metrics |= {"comparison": asdict(comparison)} if comparison != Comparison() else {}
    metrics |= {"run": str(folder) if folder else None, "backbone": attached.backbone.name, "notes": notes}
    if kept is not None:
        write_json(kept / "metrics.json", metrics)
    return Scores(metrics)


def _view(
    task: Task, protocol: str, attached: Attached, head: Head, layer: int | None, pooling: str | None
) -> tuple[Head, int | None]:
    """Return what makes vectors of the encoder's output, and the layer it is read after (None: the last).

    Raises:
        UserError: for a layer or a pooling that there is not.
    """
    layers = attached.backbone.layers
    if layer is not None and not 0 <= layer <= layers:
        raise UserError(f"--layer {layer}: the encoder has layers 0 to {layers}.")
    if pooling is not None and pooling not in ("mean", "first"):
        raise UserError(f"--pooling {pooling}: it is mean or first.")
    if head.dual and task.kind in DUAL_KINDS and layer is None and pooling is None:
        return head, None
    planned_layer, planned_pooling = view_of(task, protocol, layers)
    if planned_pooling == "pooler":  # untrained, it would only blur the token it reads
        planned_pooling = "first"
    view = Head("retrieval", attached.backbone.hidden_size, pooling=pooling or planned_pooling)
    return view, layer if layer is not None else planned_layer


def _check_comparison(task: Task, comparison: Comparison) -> None:
    """Refuse a comparison that there is not, or that the kind of task does not have."""
    allowed = {"retrieval": SCORES, "mining": ("cosine", "ratio", "distance")}.get(task.kind, ())
    if comparison.score and comparison.score not in allowed:
        said = f"one of {', '.join(allowed)}" if allowed else f"not for {task.name}, which ranks by cosine"
        raise UserError(f"--retrieval-score {comparison.score}: it is {said}.")
    if not allowed and comparison != Comparison():
        raise UserError(f"--centre and --whiten are not for {task.name}: they are for retrieval and mining.")


def _is_backbone_name(run: Any) -> bool:
    """Say whether a text names a backbone rather than a run: `mini`, or an XLM-R by its Hub name."""
    named = isinstance(run, str) and (run == "mini" or run.split("/")[-1].startswith("xlm-roberta"))
    return named and not Path(run).exists()
