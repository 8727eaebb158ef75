"""The tokenizer of mini: XLM-R's special tokens, offsets and normalisation."""

import pytest

from adapterxfer.backbone import Backbone


@pytest.fixture(scope="module")
def tokenizer(mini: Backbone):
    return mini.tokenizer


def pieces(tokenizer, text: str) -> list[str]:
    return tokenizer.convert_ids_to_tokens(tokenizer(text, add_special_tokens=False)["input_ids"])


def test_the_special_tokens_have_the_ids_of_xlm_r(tokenizer):
    assert tokenizer.is_fast
    assert len(tokenizer) == 250002
    assert (tokenizer.bos_token_id, tokenizer.cls_token_id, tokenizer.pad_token_id) == (0, 0, 1)
    assert (tokenizer.eos_token_id, tokenizer.sep_token_id, tokenizer.unk_token_id) == (2, 2, 3)
    assert tokenizer.mask_token_id == 250001
    assert tokenizer.model_max_length == 512
    assert tokenizer.model_input_names == ["input_ids", "attention_mask"]


def test_known_ids_of_xlm_r(tokenizer):
    # "Hello world!" is the example in the documentation of fairseq's XLM-R: 0, 35378, 8999, 38, 2.
    assert tokenizer("Hello world!")["input_ids"] == [0, 35378, 8999, 38, 2]


def test_one_text_and_a_pair_have_xlm_r_s_form(tokenizer):
    assert tokenizer.convert_ids_to_tokens(tokenizer("a", "b")["input_ids"]) == [
        "<s>",
        "▁a",
        "</s>",
        "</s>",
        "▁b",
        "</s>",
    ]
    assert tokenizer.convert_ids_to_tokens(tokenizer("a")["input_ids"]) == ["<s>", "▁a", "</s>"]
    assert tokenizer("")["input_ids"] == [0, 2]


def test_the_mask_takes_the_space_before_it(tokenizer):
    assert pieces(tokenizer, "a <mask> b") == ["▁a", "<mask>", "▁b"]


@pytest.mark.parametrize(
    "text",
    ["The dog sleeps.", "Die Straße, schön!", "犬はソファーで寝ています。", "الكلب نائم", "कुत्ता सो रहा है", "x²+½"],
)
def test_offsets_point_into_the_text_and_cover_it(tokenizer, text):
    encoded = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    covered = set()
    for token, (start, end) in zip(encoded.tokens(), encoded["offset_mapping"], strict=True):
        assert 0 <= start <= end <= len(text)
        covered |= set(range(start, end))
        if text[start:end].isascii():
            assert text[start:end].strip() == token.replace("▁", "").strip(), "ASCII is left as it is"
    assert {index for index, character in enumerate(text) if not character.isspace()} <= covered


def test_words_are_found_again_by_word_ids(tokenizer):
    words = ["Der", "Donaudampfschifffahrtskapitän", ",", "犬", "3.5"]
    encoded = tokenizer(words, is_split_into_words=True, add_special_tokens=False)
    assert sorted(set(encoded.word_ids())) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("a\tb\nc\r\nd", "a b c d"),
        ("a   b", "a b"),
        ("a\u200bb\u200cc\ufeffd", "a b c d"),
        ("a\x07b\x7fc\x9fd", "abcd"),
        ("\u1680a\u3000b\u00a0c", " a b c"),
        ("a\u2581b", "a b"),
        ("\uff21\uff22 \ufb01 \u2460", "AB fi 1"),
        ("e\u0301te\u0301", "été"),
        ("ᄒ\u1161\u11ab글", "한글"),
    ],
)
def test_texts_that_xlm_r_takes_for_the_same(tokenizer, text, same_as):
    assert pieces(tokenizer, text) == pieces(tokenizer, same_as)


def test_the_full_width_tilde_is_kept_though_nfkc_would_change_it(tokenizer):
    assert "～" in "".join(pieces(tokenizer, "10時～12時"))
    assert tokenizer("10時～12時", return_offsets_mapping=True)["offset_mapping"][-2][1] == len("10時～12時")


def test_decoding_gives_the_text_back(tokenizer):
    text = "Der Hund schläft, 犬 sleeps."
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text
