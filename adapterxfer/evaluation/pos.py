"""Part-of-speech scores: token accuracy, and the number that XTREME tables call F1.

XTREME gives plain UPOS tags to seqeval, which takes the first letter of a tag for a B/I marker. So `NOUN` becomes the
type `OUN`, `CCONJ` and `SCONJ` become one class `CONJ`, neighbouring equal tags become one chunk (not those
beginning with S), and an `X` at a sentence's end is lost. It is kept to compare with published tables only.
"""

from collections.abc import Sequence

from adapterxfer.evaluation.accuracy import accuracy
from adapterxfer.evaluation.chunk_f1 import chunk_scores


def pos_scores(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return `accuracy` over tokens and the XTREME-compatible `chunk_f1`, both in 0..100."""
    flat_gold = [tag for sentence in gold for tag in sentence]
    flat_predicted = [tag for sentence in predicted for tag in sentence]
    return {"accuracy": accuracy(flat_gold, flat_predicted), "chunk_f1": chunk_scores(gold, predicted)["f1"]}
