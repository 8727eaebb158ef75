"""From a YAML file to a checked `Task`. Every error is one sentence that names the file and the key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from adapterxfer.errors import UserError
from adapterxfer.tasks.keys import Keys
from adapterxfer.tasks.languages import SCHEMES
from adapterxfer.tasks.protocols import parse_protocols
from adapterxfer.tasks.readers import FORMATS
from adapterxfer.tasks.schema import (
    KINDS,
    METRICS,
    ROLES,
    SCHEMA_VERSION,
    Holdout,
    LabelFile,
    Overlap,
    Read,
    Split,
    Task,
)

# What `fields:` may name for each kind, and what it has when the key is left out.
_FIELDS: Mapping[str, Mapping[str, str | None]] = {
    "pair": {"text_a": None, "text_b": None, "label": "label"},
    "choice": {"prompt": None, "label": "label"},
    "tagging": {"words": "words", "tags": "tags"},
    "span": {"question": "question", "context": "context", "answers": "answers"},
    "retrieval": {"source": "source", "target": "target"},
}

try:
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # PyYAML built without libyaml: the same result, slower
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]


class _Loader(_SafeLoader):
    """PyYAML's safe loader, which also refuses a key given twice (YAML would keep the last in silence)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} is given twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_declaration(path: Path) -> Task:
    """Read and check one declaration.

    Raises:
        UserError: when the file is missing, is not YAML, or says something that cannot hold.
    """
    return parse_declaration(_yaml(path), path)


def _yaml(path: Path) -> Any:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path} could not be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}).") from None
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}:{line}: not valid YAML ({error.problem}).") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid YAML ({str(error).splitlines()[0]}).") from None


def parse_declaration(content: Any, path: Path) -> Task:
    """Check the content of a declaration that was read from `path`."""
    keys = Keys(content, str(path))
    schema = keys.integer("schema", low=1)
    if schema != SCHEMA_VERSION:
        raise keys.error("schema", f"is {schema}; this version of adapterxfer reads schema {SCHEMA_VERSION}")
    name = keys.text("name")
    kind = keys.text("kind", choices=KINDS)
    roles = keys.texts("roles")
    for role in roles:
        if role not in ROLES:
            raise keys.error("roles", f"has {role!r}; roles are {' and '.join(ROLES)}")
    labels = _labels(keys, kind)
    languages = keys.texts("languages")
    default_metric = METRICS[kind][0]
    if kind == "tagging" and any(label.startswith("B-") for label in labels):
        default_metric = "ner_f1"
    metric = keys.text("metric", default_metric, METRICS[kind])
    read = keys.take("read", {})
    splits = _splits(keys, kind, languages, read)
    version, description = keys.integer("version", low=1), keys.text("description")
    licence, citation = keys.text("licence"), keys.text("citation")
    evaluation_split, training_task = keys.text("evaluation_split"), keys.text("training_task", None)
    if training_task is None and kind != "retrieval":
        if "train" not in splits:
            raise keys.error("training_task", "is missing: the task has no split `train` of its own")
        training_task = name
    task = Task(
        name=name,
        version=version,
        kind=kind,
        roles=roles,
        description=description,
        labels=labels,
        languages=languages,
        metric=metric,
        evaluation_split=evaluation_split,
        training_task=training_task,
        licence=licence,
        citation=citation,
        path=path,
        bundled=keys.flag("bundled", False),
        splits=splits,
        overlaps=_overlaps(keys),
        protocols=parse_protocols(keys.mapping("protocols"), kind),
        content=content,
    )
    keys.end()
    if task.evaluation_split not in task.split_names():
        raise keys.error("evaluation_split", f"is {task.evaluation_split!r}, which is not among the splits")
    if not task.splits.get(task.evaluation_split, _GOLD).labelled:
        raise keys.error("evaluation_split", f"is {task.evaluation_split!r}, which is declared without labels")
    if "intermediate" in roles and (kind == "retrieval" or "train" not in splits):
        raise keys.error("roles", "has intermediate, which needs a split `train`")
    return task


_GOLD = Split("", (), Read("", None, {}), ())


def _labels(keys: Keys, kind: str) -> tuple[str, ...]:
    if kind in ("pair", "tagging"):
        labels: tuple[str, ...] = keys.texts("labels")
        if len(labels) < 2:
            raise keys.error("labels", "must name at least two")
        return labels
    if keys.has("labels"):
        raise keys.error("labels", f"has no meaning for the kind {kind}; leave it out")
    return ()


def _splits(keys: Keys, kind: str, languages: tuple[str, ...], read: Any) -> dict[str, Split]:
    given = keys.mapping("splits")
    if given is None:
        raise keys.error("splits", "is missing")
    splits: dict[str, Split] = {}
    for name, value in given.items():
        splits[name] = _split(Keys(value, keys.file, f"splits.{name}."), name, kind, languages, read)
    if not splits:
        raise keys.error("splits", "is empty")
    for split in splits.values():
        target = splits.get(split.holdout.to) if split.holdout else None
        if target is not None and set(target.languages) & set(split.languages):
            both = ", ".join(sorted(set(target.languages) & set(split.languages)))
            raise keys.error(
                f"splits.{split.name}.holdout", f"gives {target.name} the language {both}, which has a file"
            )
    return splits


def _split(keys: Keys, name: str, kind: str, languages: tuple[str, ...], read: Any) -> Split:
    own = keys.take("read", {})
    if not isinstance(read, dict) or not isinstance(own, dict):
        raise UserError(f"{keys.file}: read must be a mapping of keys to values.")
    spoken = keys.texts("languages", languages)
    for language in spoken:
        if language not in languages:
            raise keys.error("languages", f"has {language!r}, which is not among the task's languages")
    path = keys.texts("path", one=True)
    if len(spoken) > 1 and not all("{lang}" in pattern for pattern in path):
        raise keys.error("path", "needs {lang}: the split has several languages")
    parsed = parse_read({**read, **own}, kind, keys.file, f"{keys.prefix}read.")
    target_path = keys.texts("target_path", (), one=True)
    if (parsed.format == "parallel") != bool(target_path):
        raise keys.error("target_path", "goes with the format parallel, and only with it")
    split = Split(
        name=name,
        path=path,
        read=parsed,
        languages=spoken,
        target_path=target_path,
        labels_from=_label_file(keys.mapping("labels_from")),
        codes=_codes(keys),
        labelled=keys.flag("labelled", True),
        holdout=_holdout(keys.mapping("holdout"), name),
    )
    keys.end()
    return split


def parse_read(content: Any, kind: str | None, file: str, prefix: str) -> Read:
    """Check a `read:` mapping. `kind` None: rows are wanted, not examples (a file of labels)."""
    keys = Keys(content, file, prefix)
    form = keys.text("format", choices=tuple(FORMATS))
    options = FORMATS[form].options(keys)
    fields: dict[str, str] = {}
    choices: tuple[str, ...] = ()
    label_map: dict[str, str | int] = {}
    drop: dict[str, frozenset[str]] = {}
    suffix = False
    if kind is not None:
        named = keys.mapping("fields") or Keys({}, file, f"{prefix}fields.")
        for key, default in _FIELDS[kind].items():
            fields[key] = named.text(key) if default is None else named.text(key, default)
        if named.has("id"):
            fields["id"] = named.text("id")
        if kind == "choice":
            choices = named.texts("choices", one=True)
        named.end()
        for key, value in (keys.mapping("label_map") or Keys({}, file)).items():
            if isinstance(value, bool) or not isinstance(value, int if kind == "choice" else str):
                wanted = "an index from 0" if kind == "choice" else "text"
                raise keys.error(f"label_map.{key}", f"must be {wanted}")
            label_map[key] = value
        dropped = keys.mapping("drop") or Keys({}, file)
        texts = [key for key in _FIELDS[kind] if key not in ("label", "tags", "words", "answers")]
        for key in texts:
            if dropped.has(key):
                drop[key] = frozenset(dropped.texts(key, one=True))
        dropped.end()
        suffix = keys.text("identifiers", "unique", ("unique", "suffix")) == "suffix"
    keys.end()
    return Read(form, options, fields, choices, label_map, drop, suffix)


def _label_file(keys: Keys | None) -> LabelFile | None:
    if keys is None:
        return None
    path, field = keys.texts("path", one=True), keys.text("field")
    read = parse_read(keys.take("read"), None, keys.file, f"{keys.prefix}read.")
    keys.end()
    return LabelFile(path, field, read)


def _codes(keys: Keys) -> Mapping[str, str]:
    value = keys.take("codes", {})
    if isinstance(value, str):
        if value not in SCHEMES:
            raise keys.error("codes", f"is {value!r}; it must be a mapping or one of {', '.join(SCHEMES)}")
        return SCHEMES[value]
    codes = {}
    for code, spelt in Keys(value, keys.file, f"{keys.prefix}codes.").items():
        if not isinstance(spelt, str):
            raise keys.error(f"codes.{code}", "must be text: write it in quotes")
        codes[code] = spelt
    return codes


def _holdout(keys: Keys | None, name: str) -> Holdout | None:
    if keys is None:
        return None
    to, fraction = keys.text("to"), float(keys.number("fraction", low=0.001, high=0.999))
    if to == name:
        raise keys.error("to", "names the split itself")
    holdout = Holdout(to, fraction, keys.texts("group_by", (), one=True))
    keys.end()
    return holdout


def _overlaps(keys: Keys) -> tuple[Overlap, ...]:
    value = keys.take("overlaps", [])
    if not isinstance(value, list):
        raise keys.error("overlaps", "must be a list")
    overlaps = []
    for number, item in enumerate(value):
        one = Keys(item, keys.file, f"overlaps[{number}].")
        overlap = Overlap(
            task=one.text("task"),
            action=one.text("action", choices=("refuse", "filter", "note")),
            why=one.text("why").rstrip("."),
            by=one.text("by", "text", ("id", "text")),
            languages=one.texts("languages", ()),
            splits=one.texts("splits", ()),
        )
        one.end()
        overlaps.append(overlap)
    return tuple(overlaps)
