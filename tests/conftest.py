"""Fixtures shared by all tests: where the real corpora are, and the backbones."""

import os
from pathlib import Path

import pytest


def corpora_folder() -> Path | None:
    """Return the folder of the real corpora: ADAPTERXFER_CORPORA, else ../shared/corpora beside the checkout."""
    named = os.environ.get("ADAPTERXFER_CORPORA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "corpora"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def corpora() -> Path:
    folder = corpora_folder()
    if folder is None:
        pytest.skip("the real corpora are not here: set ADAPTERXFER_CORPORA to their folder")
    return folder
