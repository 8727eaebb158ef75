import errno
import os

import numpy as np
import pytest

from adapterxfer.errors import RunError
from adapterxfer.features.store import read_store, storing, write_store

TYPES = ("bool", "uint8", "uint16", "int32", "int64", "float16", "float32")
LAYOUT = {"numbers": ("int64", (3,)), "none": ("float32", (0, 4)), "states": ("uint16", (5, 7))}


def write_pieces(path, pieces):
    with storing(path, "key", LAYOUT, {"y": 1}) as append:
        for piece in pieces:
            append(piece)
        assert not path.exists()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0), (65,), (5, 7, 3)])
def test_arrays_of_every_type_and_shape_come_back_read_only(tmp_path, dtype, shape):
    wanted = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    write_store(tmp_path / "a", "key", {"before": np.arange(3), "x": wanted, "after": np.arange(2)}, {})
    arrays, _ = read_store(tmp_path / "a", "key")
    assert arrays["x"].dtype == wanted.dtype
    assert arrays["x"].shape == shape
    assert np.array_equal(arrays["x"], wanted)
    assert arrays["after"].tolist() == [0, 1]
    assert not arrays["x"].flags.writeable


def test_types_that_are_not_kept_are_refused(tmp_path):
    with pytest.raises(TypeError, match="x is of type float64"):
        write_store(tmp_path / "a", "key", {"x": np.zeros(3)}, {})
    assert not list(tmp_path.iterdir())


def test_pieces_give_the_same_file_as_whole_arrays(tmp_path):
    states = np.arange(35, dtype=np.uint16).reshape(5, 7)
    arrays = {"numbers": np.arange(3), "none": np.zeros((0, 4), np.float32), "states": states}
    write_store(tmp_path / "whole", "key", arrays, {"y": 1})
    pieces = [np.arange(3), states[:1], states[1:1], np.asfortranarray(states[1:4]), states[4:]]
    write_pieces(tmp_path / "pieces", pieces)
    assert (tmp_path / "pieces").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize(
    ("pieces", "says"),
    [
        ([np.arange(3)], "states has 0 of its 35 items"),
        ([np.arange(2)], "numbers has 2 of its 3 items"),
        ([np.arange(4)], "do not belong to numbers"),
        ([np.arange(3, dtype=np.int32)], "do not belong to numbers"),
        ([np.arange(3), np.zeros((6, 7), np.uint16)], "do not belong to states"),
        ([np.arange(3), np.zeros((5, 7), np.uint16), np.arange(1)], "do not belong to nothing"),
    ],
)
def test_pieces_that_are_not_what_was_said_make_no_file(tmp_path, pieces, says):
    with pytest.raises(ValueError, match=says):
        write_pieces(tmp_path / "a", pieces)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_refuses_before_the_work_and_a_block_that_fails_makes_no_file(tmp_path, monkeypatch):
    with pytest.raises(ZeroDivisionError):
        write_pieces(tmp_path / "a", (np.arange(3 // number) for number in (1, 0)))
    room = os.statvfs(tmp_path)
    layout = {"states": ("uint8", (room.f_bavail * room.f_frsize + 2**30,))}
    with pytest.raises(RunError, match="could not be written"), storing(tmp_path / "a", "key", layout, {}):
        pytest.fail("the work began")
    assert not list(tmp_path.iterdir())

    def unable(*given):
        raise OSError(errno.EOPNOTSUPP, "not here")

    monkeypatch.setattr(os, "posix_fallocate", unable)  # some network file systems
    write_store(tmp_path / "a", "key", {"x": np.arange(3)}, {})
    assert read_store(tmp_path / "a", "key") is not None
