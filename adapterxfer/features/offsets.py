"""Which code points of a text a token stands for, repaired: the `▁` trap and the combining-mark trap.

A fast XLM-R tokenizer gives offsets that include the space before a word or miss it, cover a first character twice
(once for a lone `▁`), and end before a mark that normalisation composed into its base. Here a token covers no space
at its edges, and every character that is not blank belongs to some token.
"""

import functools
import unicodedata

import numpy as np

_BLANK = ("Cc", "Cf", "Zs", "Zl", "Zp")


@functools.cache
def is_blank(character: str) -> bool:
    """Return whether a character shows nothing: spaces, line ends, control characters, zero-width ones."""
    return character.isspace() or unicodedata.category(character) in _BLANK


def edges(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Return two arrays over the places 0..len(text): the next visible character's start, the last one's end."""
    blank = np.fromiter((is_blank(character) for character in text), bool, len(text))
    places = np.arange(len(text) + 1)
    following = np.full(len(text) + 1, len(text))
    following[:-1] = np.where(blank, len(text), places[:-1])
    following = np.minimum.accumulate(following[::-1])[::-1]
    ending = np.zeros(len(text) + 1, np.int64)
    ending[1:] = np.where(blank, 0, places[1:])
    return following, np.maximum.accumulate(ending)


def visible_spans(text: str, ids: np.ndarray, offsets: np.ndarray, marker: int) -> np.ndarray:
    """Return [tokens, 2]: the visible code points of each token, or (-1, -1) where it shows nothing.

    Args:
        text: what was tokenised.
        ids: [tokens].
        offsets: [tokens, 2], as the tokenizer gave them.
        marker: id of the lone `▁`; it shows nothing, whatever its offset says.
    """
    if not len(ids):
        return np.zeros((0, 2), np.int64)
    following, ending = edges(text)
    start, end = following[offsets[:, 0]], ending[offsets[:, 1]]
    shown = (end > start) & (ids != marker)
    start, end = start[shown], end[shown]
    if len(start):
        # what no token covers, such as a mark composed into its base, goes to the token before it
        limit = np.append(start[1:], len(text))
        end = np.where(end < limit, np.maximum(end, ending[limit]), end)
    spans = np.full((len(ids), 2), -1, np.int64)
    spans[shown, 0], spans[shown, 1] = start, end
    return spans
