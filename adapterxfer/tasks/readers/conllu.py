"""CoNLL-U: Universal Dependencies treebanks.

Options: `tag: upos | xpos` (upos). Rows have words, tags and id (`# sent_id`). Words are the syntactic words:
multiword ranges (3-4) and empty nodes (3.1) are left out, as UD's own scorer does.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapterxfer.tasks.keys import Keys
from adapterxfer.tasks.readers.rows import Problem, Row, columns_problem, read_lines

_WORD = re.compile(r"[0-9]+")
_OTHER = re.compile(r"[0-9]+[-.][0-9]+")


@dataclass(frozen=True, slots=True)
class Options:
    """Options of CoNLL-U."""

    tag: int = 3


def options(keys: Keys) -> Options:
    """Take this reader's options."""
    return Options({"upos": 3, "xpos": 4}[keys.text("tag", "upos", ("upos", "xpos"))])


def read(path: Path, options: Options, problems: list[Problem]) -> list[Row]:
    """Return the sentences of one file. A sentence with a bad line is left out as a whole."""
    rows: list[Row] = []
    words: list[str] = []
    tags: list[str] = []
    start, broken, fields = 0, False, dict[str, Any]()
    for number, line in enumerate([*read_lines(path, problems), ""], 1):
        if line == "":
            if words and not broken:
                rows.append(Row(start, {**fields, "words": words, "tags": tags}))
            words, tags, broken, fields = [], [], False, {}
            continue
        if line is None:
            broken = True
            continue
        if line.startswith("#"):
            key, _, value = line[1:].partition("=")
            if key.strip() == "sent_id":
                fields["id"] = value.strip()
            continue
        cells = line.split("\t")
        why = ""
        if len(cells) != 10:
            why = columns_problem(len(cells), 10)
        elif _OTHER.fullmatch(cells[0]):
            continue
        elif not _WORD.fullmatch(cells[0]) or cells[0].strip("0123456789"):
            why = f"{cells[0][:20]!r} is not a word number, a range or an empty node"
        elif not cells[1] or not cells[options.tag]:
            why = "the form or the tag is empty"
        elif len(words) + 1 != int(cells[0][:9]) and not broken:
            why = f"word {cells[0][:20]} follows word {len(words)}"
        if why:
            problems.append(Problem(path, number, why))
            broken = True
            continue
        if not words:
            start = number
        words.append(cells[1])
        tags.append(cells[options.tag])
    return rows
