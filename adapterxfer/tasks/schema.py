"""What a task declaration says, as typed values. `declaration.py` reads it from YAML.

A declaration is one YAML file; `tests/tasks/data/own_task.yaml` is a commented example of every key. In short:

    schema: 1                      the version of this layout
    name, version, kind, roles, description, labels, languages, metric, evaluation_split, training_task, licence,
    citation
    bundled: true                  files stand in the package's sample folder (only for the tasks shipped with it)
    read:                          how a file becomes examples: format, the format's options, fields, label_map, drop,
                                   identifiers. A split's own `read:` replaces single keys
    splits: {NAME: {path, target_path, labels_from, languages, codes, labelled, holdout, read}}
    overlaps: [{task, action, by, languages, splits, why}]
    protocols: {jiant: {...}, xtreme: {...}}
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapterxfer.errors import UserError
from adapterxfer.files import sha256_json
from adapterxfer.tasks.protocols import PROTOCOLS, Protocol

SCHEMA_VERSION = 1
KINDS = ("pair", "choice", "tagging", "span", "retrieval")
ROLES = ("intermediate", "target")
METRICS: Mapping[str, tuple[str, ...]] = {
    "pair": ("accuracy",),
    "choice": ("accuracy",),
    "tagging": ("pos", "ner_f1"),
    "span": ("squad", "mlqa"),
    "retrieval": ("retrieval",),
}


@dataclass(frozen=True)
class Read:
    """How a file becomes examples.

    Attributes:
        format: the name of a reader.
        options: that reader's options, already checked.
        fields: what an example needs -> a field name of the file, or a template with `{field}` in it.
        choices: the fields of the candidate answers (choice tasks); one field may hold a list.
        label_map: label as the file spells it -> label as the task spells it (an index for choice tasks).
        drop: text of the example -> values whose rows are left out.
        suffix_identifiers: make repeated identifiers different instead of refusing them.
    """

    format: str
    options: Any
    fields: Mapping[str, str]
    choices: tuple[str, ...] = ()
    label_map: Mapping[str, str | int] = field(default_factory=dict)
    drop: Mapping[str, frozenset[str]] = field(default_factory=dict)
    suffix_identifiers: bool = False


@dataclass(frozen=True)
class Holdout:
    """A deterministic part of a file that serves as another split.

    Groups (rows equal in all `group_by` fields, in any order) are ranked by a hash; the first `fraction` is held out.
    """

    to: str
    fraction: float
    group_by: tuple[str, ...]


@dataclass(frozen=True)
class LabelFile:
    """Labels that stand in another file, row by row."""

    path: tuple[str, ...]
    field: str
    read: Read


@dataclass(frozen=True)
class Split:
    """The files of one split. Paths are patterns with `{lang}`; of several the first that exists is read."""

    name: str
    path: tuple[str, ...]
    read: Read
    languages: tuple[str, ...]
    target_path: tuple[str, ...] = ()
    labels_from: LabelFile | None = None
    codes: Mapping[str, str] = field(default_factory=dict)
    labelled: bool = True
    holdout: Holdout | None = None


@dataclass(frozen=True)
class Overlap:
    """What training on a task means for scoring on `task`.

    Attributes:
        task: the evaluated task.
        action: "refuse", "filter" (drop the shared training rows) or "note".
        by: for filters, what is compared: "id" or "text".
        languages: the evaluation languages that matter; empty means all.
        splits: the evaluation splits that matter; empty means all (for filters, the evaluation split).
        why: the reason, for people.
    """

    task: str
    action: str
    why: str
    by: str = "text"
    languages: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()

    def concerns(self, task: str, split: str) -> bool:
        """Tell whether scoring `task` on `split` is meant."""
        return self.task == task and (not self.splits or split in self.splits)


@dataclass(frozen=True)
class Task:
    """One task: what is learned, from which files, and how it is scored.

    Attributes:
        name: the name people type.
        version: raised when scores may change.
        kind: one of "pair", "choice", "tagging", "span", "retrieval".
        roles: "intermediate", "target" or both.
        labels: the classes in order (pair and tagging tasks; empty for the others).
        languages: every language of any split, in XTREME's codes.
        metric: "accuracy", "pos", "ner_f1", "squad" or "retrieval".
        evaluation_split: the split that is scored.
        training_task: name (or path) of the task that gives the English training data; None for retrieval.
        path: the declaration's file.
    """

    name: str
    version: int
    kind: str
    roles: tuple[str, ...]
    description: str
    labels: tuple[str, ...]
    languages: tuple[str, ...]
    metric: str
    evaluation_split: str
    training_task: str | None
    licence: str
    citation: str
    path: Path
    bundled: bool = False
    splits: Mapping[str, Split] = field(default_factory=dict, hash=False, repr=False)
    overlaps: tuple[Overlap, ...] = field(default=(), hash=False, repr=False)
    protocols: Mapping[str, Protocol] = field(default_factory=dict, hash=False, repr=False)
    content: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False, compare=False)

    def protocol(self, name: str) -> Protocol:
        """Return the hyper-parameters of the published protocol "jiant" or "xtreme".

        Raises:
            UserError: for another name.
        """
        if name not in self.protocols:
            raise UserError(f"There is no protocol {name!r}; choose one of {', '.join(PROTOCOLS)}.")
        return self.protocols[name]

    def digest(self) -> str:
        """Return the SHA-256 of the declaration's content; comments and layout do not count."""
        return sha256_json(self.content)

    def split_names(self) -> tuple[str, ...]:
        """Return every split, those that a holdout makes included."""
        made = [split.holdout.to for split in self.splits.values() if split.holdout]
        return tuple(dict.fromkeys([*self.splits, *made]))

    def languages_of(self, split: str) -> tuple[str, ...]:
        """Return the declared languages of a split, in the task's order.

        Raises:
            UserError: when the task has no such split.
        """
        if split not in self.split_names():
            raise UserError(f"Task {self.name} has no split {split!r}; it has {', '.join(self.split_names())}.")
        declared = set(self.splits[split].languages) if split in self.splits else set()
        for other in self.splits.values():
            if other.holdout and other.holdout.to == split:
                declared.update(other.languages)
        return tuple(language for language in self.languages if language in declared)

    def place_of(self, split: str, language: str) -> tuple[Split, bool]:
        """Return the declared split whose file holds this split and language, and whether its held-out part is meant.

        Raises:
            UserError: when the task has no such split or language.
        """
        if language not in self.languages_of(split):
            known = ", ".join(self.languages_of(split))
            raise UserError(f"Task {self.name} has no language {language!r} in its split {split!r}; it has {known}.")
        if split in self.splits and language in self.splits[split].languages:
            return self.splits[split], False
        for other in self.splits.values():
            if other.holdout and other.holdout.to == split and language in other.languages:
                return other, True
        raise AssertionError("languages_of() and place_of() disagree")
