"""Markdown tables of the figures that engine_speed.py kept with --json.

python tests/benchmarks/engine_table.py RESULTS.json [MORE.json ...]
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

OURS = "adapterxfer"
NONE = "none of it"
Run = dict[str, Any]


def tables(results: list[dict[str, Any]]) -> list[str]:
    """Return the lines of a table for each group of runs that belong together, each under a line that says what ran."""
    lines = []
    shown = None
    for found in results:
        if found["machine"] != shown:
            shown = found["machine"]
            lines += [_machine(shown), ""]
        groups: dict[tuple[Any, ...], list[Run]] = {}
        for run in found["runs"]:
            groups.setdefault(
                tuple(run.get(key) for key in ("data", "module", "layers", "examples", "epochs")), []
            ).append(run)
        for runs in groups.values():
            lines += [_title(runs), "", *_table(runs), ""]
    return lines


def _machine(machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    flags = ", ".join(machine["flags"]) or "no bf16 instructions"
    return f"{machine['date']}: {machine['cpu']}, {machine['threads']} threads, {flags}; {versions}."


def _title(runs: list[Run]) -> str:
    first = runs[0]
    seeds = len({run["seed"] for run in runs})
    where = {"all": "all layers", "half": "the top half", "quarter": "the top quarter"}[first["layers"]]
    title = f"**{first['data']}, {first['module']}, {where}**: {first['examples']} rows, {first['tokens']} tokens"
    if "epochs" in first:
        title += f", epochs: {first['epochs']}, updates: {first['updates']}"
    if "languages" in first:
        title += f" in {first['languages']} languages"
    attention = {run["attention"] for run in runs if "attention" in run}
    return (
        title
        + f"; medians of {seeds}"
        + (f"; the peer's attention: {', '.join(sorted(attention))}" if attention else "")
    )


def _table(runs: list[Run]) -> list[str]:
    sides: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run["seed"]):
        sides.setdefault(run["side"], []).append(run)
    order = sorted(sides, key=lambda side: side != OURS)
    columns: dict[str, dict[str, str]] = {}
    for key, name in (
        ("seconds", "s"),
        ("later", "s an epoch after the first"),
        ("grown", "MiB more"),
        ("peak", "MiB at most"),
    ):
        cold = key == "seconds" and any("grown" in run for run in runs)  # each in a process of its own
        if any(key in run for run in runs) and not cold:
            columns[name] = {side: _median(sides[side], key) for side in order}
            columns[f"{name}, against ours"] = {side: _ratio(sides[side], sides.get(OURS, []), key) for side in order}
            if NONE in sides and key == "seconds":
                columns["faster than none"] = {side: _ratio(sides[NONE], sides[side], key) for side in order}
    if any("prefix_seconds" in run for run in runs):
        columns["of it the prefix, s"] = {side: _median(sides[side], "prefix_seconds") for side in order}
    if any("score" in run for run in runs):
        means = {side: statistics.fmean(run["score"] for run in sides[side]) for side in order}
        columns["mean score" if "agreement" in runs[0] else "dev score"] = {
            side: f"{means[side]:.2f}" for side in order
        }
        columns["to ours"] = {side: f"{means[side] - means[OURS]:+.2f}" if OURS in means else "" for side in order}
    if any("agreement" in run for run in runs):
        columns["same answers, %"] = {side: _median(sides[side], "agreement") for side in order}
    lines = ["| | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    lines += ["| " + " | ".join([side, *[column[side] for column in columns.values()]]) + " |" for side in order]
    return lines


def _median(runs: list[Run], key: str) -> str:
    values = [run[key] for run in runs if key in run]
    if not values:
        return ""
    value = statistics.median(values)
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def _ratio(above: list[Run], below: list[Run], key: str) -> str:
    """Return the ratio of the medians, and the least and most of the ratios seed by seed."""
    upper = {run["seed"]: run[key] for run in above if key in run}
    lower = {run["seed"]: run[key] for run in below if key in run}
    if above is below or not upper or not lower or min(lower.values()) <= 0:
        return ""
    each = [upper[seed] / lower[seed] for seed in upper if seed in lower]
    ratio = statistics.median(upper.values()) / statistics.median(lower.values())
    return f"{ratio:.2f}x" + (f" ({min(each):.2f}-{max(each):.2f})" if len(each) > 1 else "")


if __name__ == "__main__":
    print("\n".join(tables([json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:]])))
