"""The hand-written lexicons, and how a template becomes a sentence.

A lexicon holds whole inflected phrases; nothing is inflected here. `<m|f>` in a phrase follows the gender of the person
the sentence is about, `~m|f~` the grammatical gender of the object, and `[...]` marks the words of an answer or of an
entity.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

LANGUAGES = ("en", "de", "es", "ru", "tr", "ar", "hi", "zh", "sw")
FOLDER = Path(__file__).parent
OPEN, CLOSE = "\ue000", "\ue001"  # private characters: they mark an answer while a sentence is put together

COUNTRY_OF = {
    "berlin": "germany", "hamburg": "germany", "paris": "france", "lyon": "france", "ankara": "turkey",
    "istanbul": "turkey", "beijing": "china", "shanghai": "china", "new_delhi": "india", "mumbai": "india",
    "nairobi": "kenya", "mombasa": "kenya", "cairo": "egypt", "alexandria": "egypt", "madrid": "spain",
    "barcelona": "spain",
}  # fmt: skip
CAPITAL_OF = {
    "germany": "berlin", "france": "paris", "turkey": "ankara", "china": "beijing", "india": "new_delhi",
    "kenya": "nairobi", "egypt": "cairo", "spain": "madrid",
}  # fmt: skip
CATEGORY_OF = {
    "apple": "fruit", "pear": "fruit", "banana": "fruit", "guitar": "instrument", "violin": "instrument",
    "chair": "furniture", "table": "furniture", "shirt": "clothing", "coat": "clothing", "bicycle": "vehicle",
    "car": "vehicle", "dog": "animal", "cat": "animal",
}  # fmt: skip
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS = ("jan", "feb", "jul", "aug")


@cache
def lexicon(language: str) -> Mapping[str, Any]:
    """Return the lexicon of one language."""
    content: Mapping[str, Any] = yaml.safe_load((FOLDER / "lexicon" / f"{language}.yaml").read_text(encoding="utf-8"))
    return content


@cache
def sentences(kind: str, name: str) -> tuple[str, ...]:
    """Return the hand-written lines of `sentences/<kind>/<name>`."""
    return tuple((FOLDER / "sentences" / kind / name).read_text(encoding="utf-8").splitlines())


def split_gender(entry: str) -> tuple[str, str]:
    """Return gender ("m" or "f") and name of an entry such as `f Anna`."""
    gender, name = entry.split(" ", 1)
    return gender, name


def choose(text: str, gender: str, object_gender: str = "m") -> str:
    """Resolve `<m|f>` and `~m|f~`."""
    text = re.sub(r"<([^<>|]*)\|([^<>|]*)>", lambda hit: hit[1 if gender == "m" else 2], text)
    return re.sub(r"~([^~|]*)\|([^~|]*)~", lambda hit: hit[1 if object_gender == "m" else 2], text)


def unmarked(text: str) -> str:
    """Drop the answer marks of a phrase."""
    return text.replace("[", "").replace("]", "")


def marked(text: str) -> str:
    """Turn `[...]` into the private marks; a phrase without marks is marked whole."""
    if "[" not in text:
        return f"{OPEN}{text}{CLOSE}"
    return text.replace("[", OPEN).replace("]", CLOSE)


def tidy(language: str, text: str) -> str:
    """Close the gaps of empty slots and start the sentence with a capital."""
    text = " ".join(text.split())
    return capital(language, re.sub(r" ([.,?؟।])", r"\1", text))


def capital(language: str, text: str) -> str:
    """Write the first letter large; Turkish has its own large i."""
    for place, letter in enumerate(text):
        if letter.isalpha():
            large = "İ" if language == "tr" and letter == "i" else letter.upper()
            return text[:place] + large + text[place + 1 :]
        if letter.isdigit():
            break
    return text


def fill(language: str, template: str, slots: Mapping[str, str], gender: str = "m", object_gender: str = "m") -> str:
    """Return the finished sentence of a template; private marks stay in it."""
    text = template.format_map({key: choose(value, gender, object_gender) for key, value in slots.items()})
    return tidy(language, choose(text, gender, object_gender))


def doer_slots(language: str, person: str, verb: str) -> tuple[dict[str, str], str]:
    """Return the slots that belong to who did it, and the person's gender."""
    words = lexicon(language)
    gender, name = split_gender(words["names"][person])
    slots = {"s": name, "v": words["verbs"][verb], "with": words.get("with", words["names"])[person]}
    slots["v_what"] = choose(words["verbs"][verb], gender, "m")
    for key in ("base", "post", "who"):
        slots[key] = words.get(key, {}).get(verb, "")
    return slots, gender


def object_of(language: str, item: str, form: int = 0) -> tuple[str, str]:
    """Return an object's phrase (0: "a guitar", 1: "the guitar") and its grammatical gender."""
    entry = lexicon(language)["objects"][item]
    return entry[form], entry[2] if len(entry) > 2 else "m"
