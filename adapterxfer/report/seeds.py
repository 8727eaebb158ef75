"""Scores over seeds: mean and standard deviation per language."""

import statistics
from collections.abc import Sequence
from typing import Any


def seeds_table(runs: Sequence[dict[str, Any]], parts: Sequence[str] = ("score",)) -> str:
    """Return the metrics.json of several seeds of one point as a Markdown table: a row a part, a column a language.

    Cells are mean ± sample standard deviation over the seeds; the last columns average over all languages, and over
    those other than English.
    """
    languages = list(runs[0]["languages"])
    others = [language for language in languages if language != "en"]
    groups = {language: [language] for language in languages} | {"average": languages}
    if others and len(others) < len(languages):
        groups["without en"] = others
    lines = ["| | " + " | ".join(groups) + " |", "|---" + "|---:" * len(groups) + "|"]
    for part in parts:
        cells = []
        for members in groups.values():
            values = [statistics.fmean(run["languages"][language][part] for language in members) for run in runs]
            spread = f" ±{statistics.stdev(values):.1f}" if len(values) > 1 else ""
            cells.append(f"{statistics.fmean(values):.1f}{spread}")
        lines.append(f"| {part} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
