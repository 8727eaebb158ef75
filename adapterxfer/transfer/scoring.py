"""Predict and score one task in many languages with one model or several; keep what is done language by language."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapterxfer.engine.inference import outputs_together
from adapterxfer.errors import UserError
from adapterxfer.evaluation.intervals import interval
from adapterxfer.evaluation.per_example import Statistics, has_statistics, per_example
from adapterxfer.evaluation.scores import average, score
from adapterxfer.features.cache import FeatureCache
from adapterxfer.features.kinds import decoder_of
from adapterxfer.features.rows import Comparison, FeatureSettings
from adapterxfer.files import write_json_lines
from adapterxfer.modules.attach import Attached
from adapterxfer.modules.heads import Head
from adapterxfer.tasks import Task, languages_present
from adapterxfer.tasks.schema import SEARCHED_KINDS
from adapterxfer.transfer.kept import feature_cache, kept_examples, kept_predictions
from adapterxfer.transfer.kept_predictions import KeptPredictions
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


@dataclass(frozen=True)
class Scored:
    """A model that is scored: the backbone with its modules, the task's head, and where its predictions are kept.

    `folder` is None where they are not. `layer`: the encoder is read after so many layers (retrieval); None: all.
    """

    attached: Attached
    head: Head
    folder: Path | None
    layer: int | None = None


def score_languages(
    models: Sequence[Scored],
    task: Task,
    *,
    split: str,
    languages: list[str],
    data_dir: Path | None,
    protocol: str,
    max_examples: int | None,
    reuse: bool = True,
    comparison: Comparison = Comparison(),  # noqa: B008  (frozen)
) -> list[dict[str, Any]]:
    """Predict and score each language with each model; return the content of every model's metrics.json.

    Models that have their lower layers in common compute these once. Predictions are written to
    `folder`/predictions/<language>.jsonl as each language ends. What the same model has predicted of the same data
    before, for whatever folder, is taken from the cache and not computed again (but for the kinds that are searched,
    see kept_predictions.py).

    Args:
        models: the models, all on one backbone.
        task: the task to score.
        split: the split to score on.
        languages: its languages.
        data_dir: where the original files are.
        protocol: modules, jiant or xtreme.
        max_examples: score the first so many examples of each language only.
        reuse: score a language whose predictions are in `folder` already from these (an interrupted run's).
        comparison: how vectors are compared (retrieval and mining).

    Raises:
        UserError: for data that cannot be read or carries no gold labels.
    """
    settings = feature_settings(task, protocol, models[0].attached.backbone.max_length, comparison)
    found = [_Found() for _ in models]
    if task.kind in SEARCHED_KINDS:
        for model, own in zip(models, found, strict=True):
            _search(model, own, task, split, languages, data_dir, settings, max_examples)
    else:
        cache = feature_cache()
        before = [kept_predictions(model.attached, model.head, model.layer) for model in models]
        for language in languages:
            examples = kept_examples(task, split, language, data_dir, cache)[:max_examples]
            _predict(models, before, found, task, language, examples, settings, cache, reuse)
        for own in found:
            if own.before:
                sys.stderr.write(f"{task.name} {', '.join(own.before)}: predictions kept from before\n")
    return [_metrics(task, protocol, split, own, max_examples) for own in found]


@dataclass
class _Found:
    """What was found out about one model, by language."""

    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    statistics: dict[str, Statistics] = field(default_factory=dict)
    notes: dict[str, dict[str, int]] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)


def _search(
    model: Scored,
    found: _Found,
    task: Task,
    split: str,
    languages: list[str],
    data_dir: Path | None,
    settings: FeatureSettings,
    max_examples: int | None,
) -> None:
    searcher = Searcher(model.attached, model.head, task, split, data_dir, settings, max_examples, model.layer)
    for language, (predictions, found.scores[language]) in searcher.find(languages).items():
        if model.folder is not None:
            write_json_lines(model.folder / "predictions" / f"{language}.jsonl", predictions)
        examples = kept_examples(task, split, language, data_dir, searcher.cache)[:max_examples]
        found.statistics[language] = per_example(task, examples, predictions, language)
    found.notes = searcher.notes


def _predict(
    models: Sequence[Scored],
    before: Sequence[KeptPredictions],
    found: Sequence[_Found],
    task: Task,
    language: str,
    examples: Sequence[Any],
    settings: FeatureSettings,
    cache: FeatureCache,
    reuse: bool,
) -> None:
    """Predict and score one language; what is to be computed is computed for all models together."""
    predictions: dict[int, list[dict[str, Any]]] = {}
    written = [model.folder / "predictions" / f"{language}.jsonl" if model.folder else None for model in models]
    for number, path in enumerate(written):
        if reuse and path is not None and path.is_file():
            lines = path.read_text(encoding="utf-8").split("\n")
            predictions[number] = [json.loads(line) for line in lines if line]
    asked = [number for number in range(len(models)) if number not in predictions]
    if asked:
        rows = cache.rows(task, examples, models[0].attached.backbone.tokenizer, settings)
        keys = {number: before[number].key(task, examples, rows, settings) for number in asked}
        for number in asked:
            if rows.notes:
                found[number].notes[language] = dict(rows.notes)
            kept = before[number].find(keys[number])
            if kept is not None:
                predictions[number] = kept
                found[number].before.append(language)
        new = [number for number in asked if number not in predictions]
        if new:
            pairs = [(models[number].attached, models[number].head) for number in new]
            logits = outputs_together(pairs, rows, models[0].layer, label=f"{task.name} {language}")
            for number, own in zip(new, logits, strict=True):
                predictions[number] = decoder_of(task).decode(task, examples, rows, own)
                before[number].keep(keys[number], predictions[number])
        for number in asked:
            path = written[number]
            if path is not None:
                write_json_lines(path, predictions[number])
    for number, own_found in enumerate(found):
        own_found.scores[language] = score(task, examples, predictions[number], language)
        if has_statistics(task):
            own_found.statistics[language] = per_example(task, examples, predictions[number], language)


def _metrics(task: Task, protocol: str, split: str, found: _Found, max_examples: int | None) -> dict[str, Any]:
    """Return the content of metrics.json."""
    scores, statistics, notes = found.scores, found.statistics, found.notes
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
