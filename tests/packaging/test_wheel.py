"""What is built holds everything the commands need, and nothing called plain `cli`."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = {
    "adapterxfer/cli/main.py",
    "adapterxfer/py.typed",
    "adapterxfer/tasks/catalog/xquad.yaml",
    "adapterxfer/sample/data/sample_nli/train.en.tsv",
    "adapter_zoo/recipes/nli.yaml",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def test_the_wheel_holds_the_commands_the_catalogue_the_sample_and_the_recipes(built):
    names = set(zipfile.ZipFile(next(built.glob("*.whl"))).namelist())
    assert names >= NEEDED, NEEDED - names
    assert not [name for name in names if name.startswith(("cli/", "tests/")) or name.endswith(".pyc")]


def test_the_sdist_holds_what_a_wheel_is_built_from(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert names >= NEEDED | {"pyproject.toml", "LICENSE", "README.md"}
