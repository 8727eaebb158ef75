"""sample_nli: what is said (plans), and how a language says it (texts)."""

from collections import Counter
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from adapterxfer.sample.words import (
    CAPITAL_OF,
    CATEGORY_OF,
    COUNTRY_OF,
    MONTHS,
    WEEKDAYS,
    doer_slots,
    fill,
    lexicon,
    object_of,
    unmarked,
)

NLI_LABELS = ("entailment", "neutral", "contradiction")
CANDIDATES = 30  # events drawn for one that is kept

# What is mentioned -> what follows from it, by the eight things a premise can tell.
TIME_CLAIM = {
    **{day: ("day", "weekend" if day in ("sat", "sun") else "workday") for day in WEEKDAYS},
    **{month: ("season", "winter" if month in ("jan", "feb") else "summer") for month in MONTHS},
    "breakfast": ("daytime", "morning"), "sunrise": ("daytime", "morning"),
    "midnight": ("daytime", "night"), "late": ("daytime", "night"),
}  # fmt: skip
COMPANY_CLAIM = {
    "brother": "relative", "mother": "relative", "colleague": "work", "boss": "work",
    "self": "alone", "nobody": "alone",
}  # fmt: skip
ASIDE_CLAIM = {
    "rain": ("weather", "bad"), "storm": ("weather", "bad"), "sun": ("weather", "good"),
    "sunshine": ("weather", "good"),
    "laugh": ("mood", "happy"), "joy": ("mood", "happy"), "cry": ("mood", "sad"), "tears": ("mood", "sad"),
}  # fmt: skip
# Sunshine and a whole day of song speak against the night; bad weather and tears go with them, to keep the labels even.
SPEAKS_OF_DAY = ("rain", "storm", "sun", "sunshine", "laugh", "cry")
VALUES: dict[str, tuple[str, ...]] = {
    "place": tuple(CAPITAL_OF),
    "object": tuple(dict.fromkeys(CATEGORY_OF.values())),
    "day": ("weekend", "workday"),
    "season": ("winter", "summer"),
    "daytime": ("morning", "night"),
    "company": ("alone", "relative", "work"),
    "weather": ("good", "bad"),
    "mood": ("happy", "sad"),
}


@dataclass(frozen=True)
class Event:
    """Who did what, with what, where, when and with whom; None is what is not told."""

    who: str
    verb: str
    item: str | None = None
    place: str | None = None
    time: str | None = None
    company: str | None = None
    aside: str | None = None
    order: int = 0

    def told(self) -> dict[str, str]:
        """Return what follows: dimension -> value."""
        facts = {}
        if self.place:
            facts["place"] = COUNTRY_OF[self.place]
        if self.item:
            facts["object"] = CATEGORY_OF[self.item]
        if self.time:
            dimension, value = TIME_CLAIM[self.time]
            facts[dimension] = value
        if self.company:
            facts["company"] = COMPANY_CLAIM[self.company]
        if self.aside:
            dimension, value = ASIDE_CLAIM[self.aside]
            facts[dimension] = value
        return facts


def say_event(language: str, event: Event, aside: bool = True) -> str:
    """Return the event as one or two sentences."""
    words = lexicon(language)
    slots, gender = doer_slots(language, event.who, event.verb)
    thing, object_gender = object_of(language, event.item) if event.item else (words["something"], "m")
    slots |= {"o": thing, "p": words["cities"][event.place][0] if event.place else ""}
    slots |= {"t": words["times"][event.time] if event.time else "", "c": words["company"].get(event.company, "")}
    slots = {key: unmarked(value) for key, value in slots.items()}
    text = fill(language, words["event"][event.order], slots, gender, object_gender)
    if aside and event.aside:
        text += ("" if language == "zh" else " ") + fill(language, words["asides"][event.aside], slots, gender)
    return text


def say_claim(language: str, event: Event, dimension: str, value: str) -> str:
    """Return a hypothesis about the event."""
    words = lexicon(language)
    slots, gender = doer_slots(language, event.who, event.verb)
    if dimension == "object":
        # The category takes the place of the object; Hindi verbs agree with it, and all six are masculine there.
        return fill(
            language, words["event"][0], {**slots, "o": words["categories"][value], "p": "", "t": "", "c": ""}, gender
        )
    if dimension == "place":
        return fill(language, words["claims"]["place"], {**slots, "country": words["countries"][value]}, gender)
    return fill(language, words["claims"][value], slots, gender)


def plan_event(random: Random) -> Event:
    """Draw an event that tells three of the eight things."""
    times = {
        "day": (*WEEKDAYS, "sat", "sat", "sun"), "season": MONTHS,
        "daytime": ("breakfast", "sunrise", "midnight", "late"),
    }  # fmt: skip
    dimensions = list(VALUES)
    while True:
        told = random.sample(dimensions, 3)
        if sum(one in times for one in told) > 1 or sum(one in ("weather", "mood") for one in told) > 1:
            continue
        words = lexicon("en")
        time = next((random.choice(times[one]) for one in told if one in times), None)
        asides = [key for key, (dimension, _) in ASIDE_CLAIM.items() if dimension in told]
        aside = random.choice(asides) if asides else None
        if time in ("midnight", "late") and aside in SPEAKS_OF_DAY:
            continue
        # Being alone is the only contrary of the two other kinds of company, so it is drawn as often as both.
        company = random.choice(("self", "nobody", *("self", "nobody"), "brother", "mother", "colleague", "boss"))
        event = Event(
            who=random.choice(list(words["names"])),
            verb=random.choice(list(words["verbs"])),
            item=random.choice(list(CATEGORY_OF)) if "object" in told else None,
            place=random.choice(list(COUNTRY_OF)) if "place" in told else None,
            time=time,
            company=company if "company" in told else None,
            aside=aside,
            order=random.randrange(2) if time else 0,
        )
        # January is no winter everywhere.
        if "season" in told and event.place and COUNTRY_OF[event.place] in ("kenya", "india"):
            continue
        return event


def _claims(event: Event, label: str) -> list[tuple[str, str]]:
    told = event.told()
    if label == "entailment":
        return list(told.items())
    if label == "neutral":
        free = [(one, value) for one in VALUES if one not in told for value in VALUES[one]]
        return [claim for claim in free if not (event.aside in SPEAKS_OF_DAY and claim[0] == "daytime")]
    contrary = []
    for one, value in told.items():
        for other in VALUES[one]:
            if other != value and not (one == "company" and "alone" not in (value, other)):
                contrary.append((one, other))
    return contrary


def _share(claim: tuple[str, str]) -> float:
    """Return the part of all hypotheses that a claim should be; "alone" is the contrary of two kinds of company."""
    one, value = claim
    within = {"alone": 1 / 2, "relative": 1 / 4, "work": 1 / 4}.get(value, 1 / len(VALUES[one]))
    return within / len(VALUES)


def plan_nli(random: Random, count: int, taken: set[Any]) -> list[tuple[Event, str, str, str]]:
    """Return rows (event, dimension, value, label): every premise once with each label.

    Of several drawn events the one is kept whose three claims are the most behind their share under their labels, so
    each claim becomes as frequent under every label.
    """
    rows: list[tuple[Event, str, str, str]] = []
    used: Counter[tuple[str, tuple[str, str]]] = Counter()
    while len(rows) < count:
        best: tuple[float, Event, list[tuple[str, str]]] | None = None
        for _ in range(CANDIDATES):
            event = plan_event(random)
            if replace(event, order=0) in taken:
                continue
            claims, cost = [], 0.0
            for label in NLI_LABELS:
                choices = _claims(event, label)
                random.shuffle(choices)
                claim = min(choices, key=lambda one: used[label, one] / _share(one))
                claims.append(claim)
                cost += (used[label, claim] / _share(claim)) ** 2
            if best is None or cost < best[0]:
                best = (cost, event, claims)
        if best is None:
            continue
        _, event, claims = best
        taken.add(replace(event, order=0))
        for label, claim in zip(NLI_LABELS, claims, strict=True):
            used[label, claim] += 1
            rows.append((event, *claim, label))
    return rows
