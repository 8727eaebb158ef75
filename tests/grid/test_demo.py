"""The demo: in small on a random encoder; in full, on the embedded one, in the benchmark that times it."""

import pytest

from adapterxfer.errors import UserError
from adapterxfer.grid.demo import INTERMEDIATES, TARGETS, run_demo
from adapterxfer.report.matrix import BASELINE


def test_the_demo_trains_every_point_writes_matrix_and_picture_and_can_be_resumed(tiny, tmp_path):
    options = {"steps": 2, "max_examples": 8, "max_eval_examples": 2}
    report = run_demo(tmp_path / "demo", backbone=tiny, **options)
    assert report.matrix.targets == list(TARGETS)
    assert report.matrix.ways[0] == BASELINE
    assert len(report.matrix.ways) == len(INTERMEDIATES) + 2
    assert all(path.is_file() for path in report.files)
    assert "transfer-matrix.png" in report.text()
    with pytest.raises(UserError, match="not empty"):
        run_demo(tmp_path / "demo", backbone=tiny, **options)
    again = run_demo(tmp_path / "demo", resume=True, backbone=tiny, **options)
    assert again.matrix == report.matrix
