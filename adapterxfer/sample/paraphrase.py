"""sample_paraphrase: what is said (plans), and how a language says it (texts)."""

from random import Random
from typing import Any

from adapterxfer.sample.words import (
    CAPITAL_OF,
    CATEGORY_OF,
    COUNTRY_OF,
    WEEKDAYS,
    doer_slots,
    fill,
    lexicon,
    object_of,
    split_gender,
    unmarked,
)

PARAPHRASE_TYPES = ("role", "both", "travel", "gap", "compare", "capital")
COUNTERPART = {
    "older": "younger", "taller": "shorter", "faster": "slower", "stronger": "weaker",
    "younger": "older", "shorter": "taller", "slower": "faster", "weaker": "stronger",
}  # fmt: skip


def plan_paraphrase(random: Random, count: int, taken: set[Any]) -> list[tuple[Any, Any, str]]:
    """Return rows (first, second, label); each first text comes once with label 1 and once with label 0."""
    rows: list[tuple[Any, Any, str]] = []
    while len(rows) < count:
        kind = PARAPHRASE_TYPES[len(rows) // 2 % len(PARAPHRASE_TYPES)]
        first, same, other = _PLANS[kind](random)
        # Neither the order of the words nor the order of two things makes a new fact.
        fact = (kind, *sorted(map(repr, first[2 if kind in ("role", "travel", "capital") else 1 :])))
        if fact in taken:
            continue
        taken.add(fact)
        rows += [(first, same, "1"), (first, other, "0")]
    return rows


def _two(random: Random, values: Any) -> list[Any]:
    return random.sample(list(values), 2)


def _role(random: Random) -> tuple[Any, Any, Any]:
    words, order = lexicon("en"), random.randrange(2)
    a, b = _two(random, words["people"])
    verb, day = random.choice(list(words["roles"])), random.choice(WEEKDAYS)
    return ("role", order, verb, day, a, b), ("role", 1 - order, verb, day, a, b), ("role", 1 - order, verb, day, b, a)


def _both(random: Random) -> tuple[Any, Any, Any]:
    words = lexicon("en")
    verb = random.choice(list(words["verbs"]))
    (a, b), (x, y) = _two(random, words["names"]), _two(random, CATEGORY_OF)
    other = ("both", verb, (a, y), (b, x)) if random.randrange(2) else ("both", verb, (b, x), (a, y))
    return ("both", verb, (a, x), (b, y)), ("both", verb, (b, y), (a, x)), other


def _travel(random: Random) -> tuple[Any, Any, Any]:
    order, who, day = random.randrange(2), random.choice(list(lexicon("en")["names"])), random.choice(WEEKDAYS)
    x, y = _two(random, COUNTRY_OF)
    return (
        ("travel", order, who, day, x, y),
        ("travel", 1 - order, who, day, x, y),
        ("travel", 1 - order, who, day, y, x),
    )


def _gap(random: Random) -> tuple[Any, Any, Any]:
    words = lexicon("en")
    who, verb = random.choice(list(words["names"])), random.choice(list(words["verbs"]))
    (x, y), (s, t) = _two(random, CATEGORY_OF), _two(random, WEEKDAYS)
    other = ("gap", who, verb, (x, t), (y, s)) if random.randrange(2) else ("gap", who, verb, (y, s), (x, t))
    return ("gap", who, verb, (x, s), (y, t)), ("gap", who, verb, (y, t), (x, s)), other


def _compare(random: Random) -> tuple[Any, Any, Any]:
    words = lexicon("en")
    (a, b), how = _two(random, words["names"]), random.choice(list(COUNTERPART))
    contrary = COUNTERPART[how]
    return ("compare", how, a, b), ("compare", contrary, b, a), ("compare", contrary, a, b)


def _capital(random: Random) -> tuple[Any, Any, Any]:
    who, order = random.choice(list(lexicon("en")["names"])), random.randrange(2)
    right, wrong = _two(random, CAPITAL_OF)
    return (
        ("capital", order, who, CAPITAL_OF[right]),
        ("capital", order, who, right),
        ("capital", order, who, wrong),
    )


_PLANS = {"role": _role, "both": _both, "travel": _travel, "gap": _gap, "compare": _compare, "capital": _capital}


def say_paraphrase(language: str, plan: Any) -> str:
    """Return one text of the paraphrase task."""
    words, (kind, *rest) = lexicon(language), plan
    if kind == "role":
        order, verb, day, a, b = rest
        forms = [one if isinstance(one, dict) else {"nom": one} for one in (words["people"][a], words["people"][b])]
        v, pattern = words["roles"][verb]
        slots = {"a": forms[0]["nom"], "v": v, "b": pattern.format_map(forms[1]), "t": unmarked(words["times"][day])}
        return fill(language, words["role"][order], slots)
    if kind == "both":
        clauses = []
        for who, item in rest[1:]:
            slots, gender = doer_slots(language, who, rest[0])
            thing, object_gender = object_of(language, item)
            clauses.append(fill(language, words["clause"], {**slots, "o": thing}, gender, object_gender))
        names = {split_gender(entry)[1] for entry in words["names"].values()}
        x, y = clauses
        if not any(y.startswith(name) for name in names):
            y = y[0].lower() + y[1:]
        return fill(language, words["both"], {"x": x, "y": y})
    if kind == "travel":
        order, who, day, start, end = rest
        gender, name = split_gender(words["names"][who])
        slots = {"s": name, "t": words["times"][day], "from": words["cities"][start][1], "to": words["cities"][end][2]}
        return fill(language, words["travel"][order], {key: unmarked(value) for key, value in slots.items()}, gender)
    if kind == "gap":
        who, verb, (x, s), (y, t) = rest
        slots, gender = doer_slots(language, who, verb)
        last, object_gender = object_of(language, y)
        slots |= {"o1": object_of(language, x)[0], "o2": last, "t1": words["times"][s], "t2": words["times"][t]}
        return fill(
            language, words["gap"], {key: unmarked(value) for key, value in slots.items()}, gender, object_gender
        )
    if kind == "compare":
        how, a, b = rest
        gender, name = split_gender(words["names"][a])
        than = words["than"][b] if "than" in words else split_gender(words["names"][b])[1]
        return fill(language, words["compare"][how], {"a": name, "b": than}, gender)
    order, who, where = rest
    gender, name = split_gender(words["names"][who])
    place = words["capitals"][where] if where in words["capitals"] else unmarked(words["cities"][where][0])
    return fill(language, words["lives"][order], {"s": name, "p": place}, gender)
