"""Predict and score one task in many languages with one attached model; keep what is done language by language."""

import json
import sys
from pathlib import Path
from typing import Any

from adapterxfer.engine.inference import outputs
from adapterxfer.errors import UserError
from adapterxfer.evaluation.intervals import interval
from adapterxfer.evaluation.per_example import Statistics, has_statistics, per_example
from adapterxfer.evaluation.scores import average, score
from adapterxfer.features.kinds import decoder_of
from adapterxfer.features.rows import Comparison
from adapterxfer.files import write_json_lines
from adapterxfer.modules.attach import Attached
from adapterxfer.modules.heads import Head
from adapterxfer.tasks import Task, languages_present
from adapterxfer.tasks.schema import SEARCHED_KINDS
from adapterxfer.transfer.kept import feature_cache, kept_examples, kept_predictions
from adapterxfer.transfer.planning import feature_settings
from adapterxfer.transfer.search import Searcher


def chosen_languages(task: Task, split: str, wanted: str | list[str] | None, data_dir: Path | None) -> list[str]:
    """Return the languages to evaluate: those wanted, or all whose files are there, English first.

    Raises:
        UserError: for a language the task does not have, or whose file is not there.
    """
    present = languages_present(task, split, data_dir)
    names = wanted.split(",") if isinstance(wanted, str) else wanted
    if not names or names == ["all"]:
        if not present:
            where = f"under {data_dir}" if data_dir else "(name their folder with --data-dir)"
            raise UserError(f"no {split} file of task {task.name} is there {where}.")
        return sorted(present, key=lambda language: (language != "en", language))
    names = [name.strip() for name in names if name.strip()]
    for name in names:
        if name not in task.languages:
            raise UserError(f"task {task.name} has no language {name!r}; it has {', '.join(task.languages)}.")
        if name not in present:
            raise UserError(f"the {split} file of {task.name} in {name} is not there under {data_dir}.")
    return list(dict.fromkeys(names))


def score_languages(
    attached: Attached,
    head: Head,
    task: Task,
    *,
    split: str,
    languages: list[str],
    data_dir: Path | None,
    protocol: str,
    max_examples: int | None,
    folder: Path | None,
    reuse: bool = True,
    layer: int | None = None,
    comparison: Comparison = Comparison(),  # noqa: B008  (frozen)
) -> dict[str, Any]:
    """Predict and score each language; return the content of metrics.json.

    Predictions are written to `folder`/predictions/<language>.jsonl as each language ends. What the same model has
    predicted of the same data before, for whatever folder, is taken from the cache and not computed again (but for the
    kinds that are searched, see kept_predictions.py).

    Args:
        attached: the backbone with its modules.
        head: the head of the task.
        task: the task to score.
        split: the split to score on.
        languages: its languages.
        data_dir: where the original files are.
        protocol: modules, jiant or xtreme.
        max_examples: score the first so many examples of each language only.
        folder: where predictions are kept; None keeps none.
        reuse: score a language whose predictions are in `folder` already from these (an interrupted run's).
        layer: read the encoder after this many layers (retrieval).
        comparison: how vectors are compared (retrieval and mining).

    Raises:
        UserError: for data that cannot be read or carries no gold labels.
    """
    scores: dict[str, dict[str, Any]] = {}
    statistics: dict[str, Statistics] = {}
    notes: dict[str, dict[str, int]] = {}
    settings = feature_settings(task, protocol, attached.backbone.max_length, comparison)
    if task.kind in SEARCHED_KINDS:
        searcher = Searcher(attached, head, task, split, data_dir, settings, max_examples, layer)
        for language, (predictions, scores[language]) in searcher.find(languages).items():
            if folder is not None:
                write_json_lines(folder / "predictions" / f"{language}.jsonl", predictions)
            examples = kept_examples(task, split, language, data_dir, searcher.cache)[:max_examples]
            statistics[language] = per_example(task, examples, predictions, language)
        return _metrics(task, protocol, split, scores, statistics, searcher.notes, max_examples)
    kind, cache, before = decoder_of(task), feature_cache(), kept_predictions(attached, head, layer)
    found_before: list[str] = []
    for language in languages:
        examples = kept_examples(task, split, language, data_dir, cache)[:max_examples]
        written = folder / "predictions" / f"{language}.jsonl" if folder else None
        if reuse and written is not None and written.is_file():
            predictions = [json.loads(line) for line in written.read_text(encoding="utf-8").split("\n") if line]
        else:
            rows = cache.rows(task, examples, attached.backbone.tokenizer, settings)
            if rows.notes:
                notes[language] = dict(rows.notes)
            key = before.key(task, examples, rows, settings)
            found = before.find(key)
            if found is None:
                logits = outputs(attached, head, rows, layer, label=f"{task.name} {language}")
                predictions = kind.decode(task, examples, rows, logits)
                before.keep(key, predictions)
            else:
                predictions = found
                found_before.append(language)
            if written is not None:
                write_json_lines(written, predictions)
        scores[language] = score(task, examples, predictions, language)
        if has_statistics(task):
            statistics[language] = per_example(task, examples, predictions, language)
    if found_before:
        sys.stderr.write(f"{task.name} {', '.join(found_before)}: predictions kept from before\n")
    return _metrics(task, protocol, split, scores, statistics, notes, max_examples)


def _metrics(
    task: Task,
    protocol: str,
    split: str,
    scores: dict[str, dict[str, Any]],
    statistics: dict[str, Statistics],
    notes: dict[str, dict[str, int]],
    max_examples: int | None,
) -> dict[str, Any]:
    """Return the content of metrics.json."""
    metrics: dict[str, Any] = {
        "task": task.name,
        "task_version": task.version,
        "metric": task.metric,
        "protocol": protocol,
        "split": split,
        "languages": scores,
        "average": average(list(scores.values()))["score"],
    }
    others = [value for language, value in scores.items() if language != "en"]
    if others and len(others) < len(scores):
        metrics["average_without_english"] = average(others)["score"]
    if statistics:
        _add_intervals(metrics, statistics)
    if max_examples is not None:
        metrics["max_examples"] = max_examples
    if notes:
        metrics["features"] = notes
    return metrics


def _add_intervals(metrics: dict[str, Any], statistics: dict[str, Statistics]) -> None:
    """Put the 95% interval over examples beside every score."""
    for language, own in statistics.items():
        metrics["languages"][language]["interval"] = list(interval(own))
    metrics["average_interval"] = list(interval(list(statistics.values())))
    if "average_without_english" in metrics:
        others = [own for language, own in statistics.items() if language != "en"]
        metrics["average_without_english_interval"] = list(interval(others))
