"""Exact nearest neighbours by cosine, in blocks."""

import numpy as np

TIE = 1e-6  # float32 products of one and the same pair of vectors differ by up to about this, whatever the block


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return the rows of [n, hidden] at length 1, as float32; a row of zeros stays zeros."""
    vectors = np.asarray(vectors, np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms == 0, 1, norms)


def nearest_neighbours(queries: np.ndarray, index: np.ndarray, block: int = 1024) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each query, the position of the nearest index row and their cosine.

    Of rows equally near (within 1e-6) the first is taken, so that the answer does not depend on the block or machine.

    Args:
        queries: [n, hidden], of any length.
        index: [m, hidden], of any length.
        block: queries compared at a time; bounds the memory at block x m floats.
    """
    queries, index = unit(queries), unit(index)
    places, cosines = np.zeros(len(queries), np.int64), np.zeros(len(queries), np.float32)
    for start in range(0, len(queries), block):
        products = queries[start : start + block] @ index.T
        best = products.max(axis=1)
        places[start : start + block] = (products >= best[:, None] - TIE).argmax(axis=1)
        cosines[start : start + block] = best
    return places, cosines
