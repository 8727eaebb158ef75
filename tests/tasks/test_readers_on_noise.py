"""Whatever the bytes, reading ends, and ends in examples or in one UserError."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapterxfer.errors import UserError
from adapterxfer.tasks import check_task, load_examples
from adapterxfer.tasks.declaration import parse_declaration
from adapterxfer.tasks.schema import Task

HEAD = {
    "schema": 1,
    "name": "noise",
    "version": 1,
    "roles": ["target"],
    "description": "Noise.",
    "languages": ["en"],
    "evaluation_split": "train",
    "licence": "none",
    "citation": "none",
}
PAIR = {"text_a": "a", "text_b": "b", "label": "c"}
QUESTION = '{"id": "q", "question": "w?", "answers": [{"text": "bc", "answer_start": 1}]}'
REST = b"\t_" * 6 + b"\n"
CONLLU = b"# sent_id = s\n1\ta\ta\tNOUN" + REST + b"2\tb\tb\tVERB" + REST + b"\n1\tc\tc\tVERB" + REST
FORMATS: dict[str, tuple[dict, bytes]] = {
    "tsv": (
        {"kind": "pair", "labels": ["x", "y"], "read": {"format": "delimited", "fields": PAIR}},
        b"a\tb\tc\none\ttwo\tx\nthree\tfour\ty\n",
    ),
    "csv": (
        {
            "kind": "pair",
            "labels": ["x", "y"],
            "read": {"format": "delimited", "delimiter": "comma", "quoting": "csv", "multiline": True, "fields": PAIR},
        },
        b'a,b,c\r\n"o""ne","tw,\no",x\r\nthree,four,y\r\n',
    ),
    "jsonl": (
        {
            "kind": "choice",
            "read": {"format": "jsonl", "fields": {"prompt": "{p} {q.r}?", "choices": "c.t", "label": "l"}},
        },
        b'{"p": "a", "q": {"r": "b"}, "c": {"t": ["x", "y"]}, "l": 1}\n'
        b'{"p": "c", "q": {"r": 1}, "c": [{"t": "u"}, {"t": "v"}], "l": "0"}',
    ),
    "xml": (
        {"kind": "choice", "read": {"format": "xml", "fields": {"prompt": "p", "choices": ["x", "y"], "label": "@l"}}},
        b'<?xml version="1.0"?>\n<c><item l="0"><p>a</p><x>b</x><y>c</y></item></c>',
    ),
    "columns": ({"kind": "tagging", "labels": ["O", "B-X"], "read": {"format": "columns"}}, b"a\tO\nb\tB-X\n\nc\tO\n"),
    "conllu": ({"kind": "tagging", "labels": ["NOUN", "VERB"], "read": {"format": "conllu"}}, CONLLU),
    "squad": (
        {"kind": "span", "read": {"format": "squad"}},
        f'{{"data": [{{"title": "t", "paragraphs": [{{"context": "abcd", "qas": [{QUESTION}]}}]}}]}}'.encode(),
    ),
    "parallel": ({"kind": "retrieval", "read": {"format": "parallel"}}, b"one\ntwo\nthree\n"),
}


def task_of(name: str, folder: Path) -> Task:
    more = dict(FORMATS[name][0])
    split = {"path": "file", "target_path": "other"} if name == "parallel" else {"path": "file"}
    return parse_declaration({**HEAD, **more, "splits": {"train": split}}, folder / "noise.yaml")


@st.composite
def mutated(draw: st.DrawFn, valid: bytes) -> bytes:
    content = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        change = draw(st.sampled_from(["cut", "insert", "replace", "double"]))
        piece = draw(
            st.sampled_from(
                [b'"', b"\n", b"\t", b"\r", b"\xff", b"\x00", b"{", b"}", b"[", b"\\ud800", b"<", b"1e999", b"-"]
            )
        )
        if change == "cut":
            del content[at : at + draw(st.integers(1, 20))]
        elif change == "insert":
            content[at:at] = piece
        elif change == "replace":
            content[at : at + len(piece)] = piece
        else:
            content += content[at:]
    return bytes(content)


@pytest.mark.parametrize("name", FORMATS)
def test_the_valid_file_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(FORMATS[name][1])
    (tmp_path / "other").write_bytes(FORMATS[name][1])
    assert load_examples(task_of(name, tmp_path), "train", "en")


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_noise_gives_examples_or_one_sentence(name: str, data: st.DataObject) -> None:
    content = data.draw(st.one_of(mutated(FORMATS[name][1]), st.binary(max_size=200)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "file").write_bytes(content)
        (path / "other").write_bytes(FORMATS[name][1])
        task = task_of(name, path)
        said = ""
        try:
            examples = load_examples(task, "train", "en")
        except UserError as error:
            examples, said = [], str(error)
        assert bool(examples) != ("file" in said or "other" in said)
        for example in examples:
            repr(example).encode("utf-8")
        report = check_task(task)
        assert report.as_dict()["task"] == "noise"
