"""One JSON object a line. No options."""

import json
from dataclasses import dataclass
from pathlib import Path

from adapterxfer.tasks.keys import Keys
from adapterxfer.tasks.readers.rows import Problem, Row, read_lines


@dataclass(frozen=True, slots=True)
class Options:
    """JSON lines have none."""


def options(keys: Keys) -> Options:
    """Take this reader's options."""
    return Options()


def read(path: Path, options: Options, problems: list[Problem]) -> list[Row]:
    """Return the rows of one file, each the line's object."""
    rows = []
    for number, line in enumerate(read_lines(path, problems), 1):
        if line is None:
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            why = (
                "empty line"
                if not line.strip()
                else f"not valid JSON ({getattr(error, 'msg', 'too deep or too long')})"
            )
            problems.append(Problem(path, number, why))
            continue
        if isinstance(value, dict):
            rows.append(Row(number, value))
        else:
            problems.append(Problem(path, number, "not a JSON object"))
    return rows
