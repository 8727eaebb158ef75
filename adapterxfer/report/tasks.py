"""Tasks and the checks of their files, as JSON values and as text a person reads."""

from dataclasses import asdict
from typing import Any

from adapterxfer.tasks import CheckReport, Task

_BAD_ROWS_SHOWN = 20


def task_line(task: Task, width: int) -> str:
    """Return a task as one line of a list; its name padded to `width`."""
    count = f"{len(task.languages)} language{'s' if len(task.languages) > 1 else ''}"
    columns = (task.name.ljust(width), task.kind.ljust(9), ",".join(task.roles).ljust(19), count.ljust(13))
    return "  ".join([*columns, task.description])


def task_values(task: Task) -> dict[str, Any]:
    """Return what a declaration says, with its protocols filled in and its digest."""
    return {
        **task.content,
        "training_task": task.training_task,
        "protocols": {name: asdict(protocol) for name, protocol in task.protocols.items()},
        "digest": task.digest(),
    }


def task_text(task: Task) -> str:
    """Return a task as lines: what it is, languages, labels, splits, protocols, overlaps, licence."""
    lines = [
        f"{task.name}, version {task.version}: {task.description}",
        f"kind          {task.kind}, scored by {task.metric}",
        f"roles         {', '.join(task.roles)}",
        f"languages     {' '.join(task.languages)}",
    ]
    if task.labels:
        lines.append(f"labels        {' '.join(task.labels)}")
    lines.append(f"trained on    {task.training_task or 'nothing: it is evaluated only'}")
    for name in task.split_names():
        scored = ", scored" if name == task.evaluation_split else ""
        lines.append(f"split         {name}: {' '.join(task.languages_of(name))}{scored}")
    for name, numbers in task.protocols.items():
        values = ", ".join(f"{key} {value}" for key, value in asdict(numbers).items() if value is not None)
        lines.append(f"protocol      {name}: {values}")
    for overlap in task.overlaps:
        lines.append(f"overlap       with {overlap.task}: {overlap.action} ({overlap.why})")
    lines += [f"licence       {task.licence}", f"citation      {task.citation}"]
    return "\n".join(lines)


def check_text(report: CheckReport) -> str:
    """Return a check as a table of counts, then the bad rows by file and line."""
    lines = [f"{report.task} under {report.data_dir}"]
    lines.append(f"{'split'.ljust(12)}{'language'.ljust(10)}{'in file'.rjust(9)}{'used'.rjust(9)}  file")
    for row in report.rows:
        marks = [f"{count} {why}" for why, count in row.dropped.items()]
        marks += [f"{len(row.bad)} bad rows"] if row.bad else []
        marks += ["placeholder labels"] if row.placeholder_labels else []
        marks += [] if row.labelled else ["no gold labels, by its declaration"]
        counts = f"{str(row.examples).rjust(9)}{str(row.used).rjust(9)}"
        tail = f" ({'; '.join(marks)})" if marks else ""
        lines.append(f"{row.split.ljust(12)}{row.language.ljust(10)}{counts}  {row.file}{tail}")
    bad = [problem for row in report.rows for problem in row.bad]
    lines += bad[:_BAD_ROWS_SHOWN]
    if len(bad) > _BAD_ROWS_SHOWN:
        lines.append(f"... and {len(bad) - _BAD_ROWS_SHOWN} more bad rows; --json lists all")
    if report.missing:
        lines.append(f"{len(report.missing)} declared files are not here, for example {report.missing[0]}")
    lines.append("all rows that are here are sound" if report.ok else "some files cannot be used as declared")
    return "\n".join(lines)
