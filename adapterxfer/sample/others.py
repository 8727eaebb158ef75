"""The other four tasks: sample_qa, sample_ner, sample_choice and sample_retrieval."""

import re
from itertools import product
from random import Random
from typing import Any

from adapterxfer.sample.nli import Event
from adapterxfer.sample.words import (
    CATEGORY_OF,
    CLOSE,
    COUNTRY_OF,
    MONTHS,
    OPEN,
    WEEKDAYS,
    capital,
    choose,
    doer_slots,
    fill,
    lexicon,
    marked,
    object_of,
    sentences,
    split_gender,
    unmarked,
)

# Question -> (what is asked, what the question names).
QUESTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "who_place": ("who", ("verb", "item", "place")),
    "who_time": ("who", ("verb", "item", "time")),
    "what_place": ("item", ("who", "verb", "place")),
    "what_time": ("item", ("who", "verb", "time")),
    "where": ("place", ("who", "verb", "item")),
    "when": ("time", ("who", "verb", "item")),
}
SLOT_OF = {"who": "s", "item": "o", "place": "p", "time": "t"}


def plan_qa(random: Random, contexts: int, taken: set[Any]) -> list[tuple[tuple[Event, ...], list[tuple[str, Event]]]]:
    """Return contexts of two to four facts, each with three questions that have one answer and a likely wrong one."""
    names, verbs = list(lexicon("en")["names"]), list(lexicon("en")["verbs"])
    plans: list[tuple[tuple[Event, ...], list[tuple[str, Event]]]] = []
    turn = 0
    while len(plans) < contexts:
        size = (2, 3, 4, 3)[len(plans) % 4]
        who, items = random.sample(names, 2), random.sample(list(CATEGORY_OF), 2)
        places, verb = random.sample(list(COUNTRY_OF), 3), random.sample(verbs, 2)
        times = random.sample(WEEKDAYS, 3) if random.random() < 0.7 else random.sample(MONTHS, 3)
        events: dict[Any, Event] = {}
        while len(events) < size:
            event = Event(
                who=random.choice(who),
                verb=verb[0] if random.random() < 0.8 else verb[1],
                item=random.choice(items),
                place=random.choice(places),
                time=random.choice(times),
                order=random.randrange(2),
            )
            events[event.who, event.verb, event.item] = event
        facts = tuple(events.values())
        key = frozenset((one.who, one.verb, one.item, one.place, one.time) for one in facts)
        # No fact of one split may be told in another, nor twice in one.
        if any(fact in taken for fact in key):
            continue
        wanted = [list(QUESTIONS)[(turn + step) % len(QUESTIONS)] for step in (0, 2, 4)]
        asked = [_ask(random, kind, facts) for kind in wanted]
        if None in asked:
            continue
        turn += 1
        taken.update(key)
        plans.append((facts, [one for one in asked if one]))
    return plans


def _ask(random: Random, kind: str, facts: tuple[Event, ...]) -> tuple[str, Event] | None:
    asked, named = QUESTIONS[kind]
    good = []
    for fact in facts:
        match = [one for one in facts if all(getattr(one, name) == getattr(fact, name) for name in named)]
        others = {getattr(one, asked) for one in facts} - {getattr(fact, asked)}
        if len(match) == 1 and others:
            good.append(fact)
    return (kind, random.choice(good)) if good else None


def say_fact(language: str, event: Event, asked: str = "") -> str:
    """Return the fact as a sentence; the phrase that is `asked` for stays marked."""
    words = lexicon(language)
    slots, gender = doer_slots(language, event.who, event.verb)
    thing, object_gender = object_of(language, str(event.item))
    slots |= {"o": thing, "p": words["cities"][event.place][0], "t": words["times"][event.time], "c": ""}
    for name, slot in SLOT_OF.items():
        slots[slot] = marked(slots[slot]) if name == asked else unmarked(slots[slot])
    return fill(language, words["event"][event.order], slots, gender, object_gender)


def say_question(language: str, kind: str, event: Event) -> str:
    """Return the question; "who" is asked in the masculine, as speakers do when they do not know."""
    words = lexicon(language)
    slots, gender = doer_slots(language, event.who, event.verb)
    thing, object_gender = object_of(language, str(event.item))
    slots |= {"o": thing, "the": object_of(language, str(event.item), 1)[0]}
    slots |= {"p": words["cities"][event.place][0], "t": words["times"][event.time]}
    slots = {key: unmarked(value) for key, value in slots.items()}
    return fill(language, words["questions"][kind], slots, "m" if kind.startswith("who") else gender, object_gender)


def say_context(language: str, facts: tuple[Event, ...], kind: str, event: Event) -> tuple[str, str, int]:
    """Return context, answer and its start in code points."""
    told = [say_fact(language, fact, QUESTIONS[kind][0] if fact is event else "") for fact in facts]
    text = ("" if language == "zh" else " ").join(told)
    start = text.index(OPEN)
    answer = text[start + 1 : text.index(CLOSE)]
    return text.replace(OPEN, "").replace(CLOSE, ""), answer, start


CLUBS = ("liverpool", "barcelona", "hamburg", "valencia")
FIRMS = ("ford", "disney", "siemens", "honda", "general_motors", "samsung")
AID = ("red_cross", "united_nations")
FRAME_LIMIT = 46  # so that no frame fills a split


def plan_ner(random: Random, count: int) -> list[tuple[str, dict[str, str]]]:
    """Return `count` different (frame, who and what fills it)."""
    words = lexicon("en")
    pools: dict[str, tuple[str, ...]] = {
        "per": tuple(words["per"]), "loc": tuple(words["loc"]), "firm": FIRMS, "club": CLUBS, "aid": AID,
        "on": WEEKDAYS,
    }  # fmt: skip
    pools["per2"], pools["loc2"], pools["club2"] = pools["per"], pools["loc"], pools["club"]
    plans = []
    for frame, template in words["frames"].items():
        slots = list(dict.fromkeys(_base(slot) for slot in re.findall(r"{(\w+)}", template)))
        combinations = []
        for values in product(*(pools[slot] for slot in slots)):
            # One name stands once in a sentence: "Washington lives in Washington" would be unfair.
            parts = [part for value in values for part in _parts(value)]
            if len(set(parts)) == len(parts):
                combinations.append((frame, dict(zip(slots, values, strict=True))))
        random.shuffle(combinations)
        plans += combinations[:FRAME_LIMIT]
    random.shuffle(plans)
    if len(plans) < count:
        raise ValueError(f"the frames give {len(plans)} sentences, not {count}")
    return plans[:count]


def _base(slot: str) -> str:
    """Return what fills a slot: `in`, `from` and `loc` are forms of one place."""
    return {"in": "loc", "from": "loc", "in2": "loc2", "per_gen": "per"}.get(slot, slot)


def _parts(value: str) -> list[str]:
    return value.split("_") if value not in ("new_york", "red_cross", "united_nations", "general_motors") else [value]


def say_ner(language: str, frame: str, fillers: dict[str, str]) -> list[tuple[str, str]]:
    """Return the words of a sentence with their tags."""
    words = lexicon(language)
    gender = split_gender(words["per"][fillers["per"]])[0] if "per" in fillers else "m"
    tagged: list[tuple[str, str]] = []

    def slot(name: str) -> tuple[str, str]:
        value = fillers[_base(name)]
        if name == "on":
            return unmarked(words["times"][value]), ""
        if name == "per_gen":
            return marked(words["per_gen"][value]), "PER"
        if name in ("per", "per2"):
            return marked(split_gender(words["per"][value])[1]), "PER"
        if name in ("loc", "loc2", "in", "in2", "from"):
            form = 0 if name.startswith("loc") else 1 if name.startswith("in") else 2
            return marked(words["loc"][value][form]), "LOC"
        return marked(words["org"][value]), "ORG"

    # Genders of the fixed words first, then the slots, so that tags follow the marks.
    for piece in re.split(r"({\w+})", choose(words["frames"][frame], gender)):
        text, kind = slot(piece[1:-1]) if piece.startswith("{") else (piece, "")
        inside, first = False, False
        for token in text.replace(OPEN, f" {OPEN} ").replace(CLOSE, f" {CLOSE} ").split():
            if token in (OPEN, CLOSE):
                inside = first = token == OPEN
                continue
            tagged.append((token, f"{'B' if first else 'I'}-{kind}" if inside else "O"))
            first = False
    return [(capital(language, tagged[0][0]), tagged[0][1]), *tagged[1:]]


CHOICE_GROUPS = {"en_train": (18, 18, 16), "test": (10, 10, 10)}


CHOICE_SHIFTS: dict[str, list[tuple[tuple[int, ...], tuple[int, ...]]]] = {
    "test": [((3,), (4,)), ((3,), (4,)), ((5,), (5,))],
    "train": [((1, 3, 4, 6), (2, 3, 5, 6))] * 3,
    "dev": [((1, 2), (1, 3))] * 3,
}


def choice_rows(random: Random, language: str, split: str) -> list[dict[str, Any]]:
    """Return the rows of one split and language.

    A wrong answer is the right one of another premise about the same person, so every sentence is right as often as
    it is wrong.
    """
    name = "en_train" if split != "test" else language
    pairs = [line.split("\t") for line in sentences("choice", f"{name}.tsv")]
    sizes = CHOICE_GROUPS["test" if split == "test" else "en_train"]
    # How far away the wrong effect and the wrong cause stand, a pair for each group of premises; those of the test were
    # picked by reading them.
    shifts = CHOICE_SHIFTS[split]
    rows: list[dict[str, Any]] = []
    start = 0
    for size, shift in zip(sizes, shifts, strict=True):
        group = pairs[start : start + size]
        start += size
        if split != "test":
            group = group[-4:] if split == "dev" else group[:-4]
        for question, fars in zip(("effect", "cause"), shift, strict=True):
            for far, (here, pair) in product(fars, enumerate(group)):
                cause, effect = pair
                other = group[(here + far) % len(group)]
                premise, right, wrong = (cause, effect, other[1]) if question == "effect" else (effect, cause, other[0])
                rows.append({"premise": premise, "right": right, "wrong": wrong, "question": question})
    labels = [number % 2 for number in range(len(rows))]
    random.shuffle(labels)
    order = list(range(len(rows)))
    random.shuffle(order)
    finished = []
    for number, (place, label) in enumerate(zip(order, labels, strict=True)):
        row = rows[place]
        both = (row["right"], row["wrong"]) if label == 0 else (row["wrong"], row["right"])
        finished.append(
            {"premise": row["premise"], "choice1": both[0], "choice2": both[1], "question": row["question"]}
            | {"label": label, "idx": number}
        )
    return finished


def retrieval_lines(language: str) -> tuple[str, ...]:
    """Return the hand-written sentences of one language; line n says the same in every language."""
    return sentences("retrieval", f"{language}.txt")
