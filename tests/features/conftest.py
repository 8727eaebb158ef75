"""What the feature tests share: mini's tokenizer and a perfect head."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def tokenizer(mini):
    return mini.tokenizer


@pytest.fixture(scope="session")
def one_hot():
    """Outputs of a perfect head: the targets of the rows as logits."""

    def outputs(kind: str, rows, width: int = 2) -> list[np.ndarray]:
        made = []
        for row, ids in enumerate(rows.input_ids):
            logits = np.zeros((len(ids), width), np.float32)
            if kind == "tagging":
                places = np.flatnonzero(rows.targets["tags"][row] >= 0)
                logits[places, rows.targets["tags"][row][places]] = 9
            elif rows.targets["start"][row] or rows.targets["end"][row]:
                logits[rows.targets["start"][row], 0] = logits[rows.targets["end"][row], 1] = 9
            made.append(logits)
        return made

    return outputs
