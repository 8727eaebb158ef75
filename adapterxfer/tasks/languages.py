"""Language codes: XTREME's own (ISO 639-1 where there is one), and how Tatoeba's files spell them."""

from collections.abc import Mapping

# The 41 languages of XTREME-R's Tatoeba task. Some files carry the code of the standard variety, not the
# macrolanguage's: cmn (Mandarin), pes (Iranian Persian), swh (Coastal Swahili).
TATOEBA: Mapping[str, str] = {
    "af": "afr", "ar": "ara", "az": "aze", "bg": "bul", "bn": "ben", "de": "deu", "el": "ell", "es": "spa", "et": "est",
    "eu": "eus", "fa": "pes", "fi": "fin", "fr": "fra", "he": "heb", "hi": "hin", "hu": "hun", "id": "ind", "it": "ita",
    "ja": "jpn", "jv": "jav", "ka": "kat", "kk": "kaz", "ko": "kor", "lt": "lit", "ml": "mal", "mr": "mar", "nl": "nld",
    "pl": "pol", "pt": "por", "ro": "ron", "ru": "rus", "sw": "swh", "ta": "tam", "te": "tel", "th": "tha", "tl": "tgl",
    "tr": "tur", "uk": "ukr", "ur": "urd", "vi": "vie", "zh": "cmn",
}  # fmt: skip

# What a declaration may name after `codes:` instead of spelling a table out.
SCHEMES: Mapping[str, Mapping[str, str]] = {"tatoeba": TATOEBA}
