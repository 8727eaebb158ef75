"""Write the sample's data files from its lexicons: `python -m adapterxfer.sample.generate`.

The same lexicons give the same bytes: what is drawn comes from one seed for each task, and all languages say one plan.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from adapterxfer.files import write_text
from adapterxfer.sample import nli, others, paraphrase
from adapterxfer.sample.words import FOLDER, LANGUAGES

SIZES: Mapping[str, Mapping[str, int]] = {  # rows of a split; for sample_qa contexts, with three questions each
    "sample_nli": {"train": 900, "dev": 90, "test": 90},
    "sample_qa": {"train": 200, "dev": 20, "test": 20},
    "sample_paraphrase": {"train": 600, "dev": 60, "test": 96},
    "sample_ner": {"train": 600, "dev": 60, "test": 90},
}
SPLITS = ("train", "dev", "test")


def languages_of(split: str) -> tuple[str, ...]:
    """Return the languages of a split: training and development are English alone."""
    return LANGUAGES if split == "test" else ("en",)


def nli_files() -> dict[str, str]:
    """Return sample_nli: tab-separated columns with a header."""
    random, taken, files = Random(11), set[Any](), {}
    for split in SPLITS:
        rows = nli.plan_nli(random, SIZES["sample_nli"][split], taken)
        random.shuffle(rows)
        for language in languages_of(split):
            lines = [
                f"{nli.say_event(language, event)}\t{nli.say_claim(language, event, one, value)}\t{label}"
                for event, one, value, label in rows
            ]
            files[f"sample_nli/{split}.{language}.tsv"] = _table("premise\thypothesis\tlabel", lines)
    return files


def paraphrase_files() -> dict[str, str]:
    """Return sample_paraphrase: tab-separated columns with a header."""
    random, taken, files = Random(12), set[Any](), {}
    for split in SPLITS:
        rows = paraphrase.plan_paraphrase(random, SIZES["sample_paraphrase"][split], taken)
        random.shuffle(rows)
        for language in languages_of(split):
            lines = [
                f"{paraphrase.say_paraphrase(language, one)}\t{paraphrase.say_paraphrase(language, two)}\t{label}"
                for one, two, label in rows
            ]
            files[f"sample_paraphrase/{split}.{language}.tsv"] = _table("sentence1\tsentence2\tlabel", lines)
    return files


def _table(header: str, lines: list[str]) -> str:
    return "".join(
        f"{line}\n" for line in (f"id\t{header}", *(f"{number}\t{line}" for number, line in enumerate(lines)))
    )


def qa_files() -> dict[str, str]:
    """Return sample_qa: SQuAD 1.1 JSON."""
    random, taken, files = Random(13), set[Any](), {}
    for split in SPLITS:
        plans = others.plan_qa(random, SIZES["sample_qa"][split], taken)
        for language in languages_of(split):
            paragraphs = []
            for number, (facts, asked) in enumerate(plans):
                questions, context = [], ""
                for place, (kind, event) in enumerate(asked):
                    context, answer, start = others.say_context(language, facts, kind, event)
                    questions.append(
                        {"id": f"{split}-{number}-{place}", "question": others.say_question(language, kind, event)}
                        | {"answers": [{"text": answer, "answer_start": start}]}
                    )
                paragraphs.append({"context": context, "qas": questions})
            document = {"version": "1.1", "data": [{"title": "sample_qa", "paragraphs": paragraphs}]}
            files[f"sample_qa/{split}.{language}.json"] = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    return files


def ner_files() -> dict[str, str]:
    """Return sample_ner: a word and its tag a line, an empty line after each sentence."""
    sizes, files = SIZES["sample_ner"], {}
    plans = others.plan_ner(Random(14), sum(sizes.values()))
    for split in SPLITS:
        part, plans = plans[: sizes[split]], plans[sizes[split] :]
        for language in languages_of(split):
            blocks = []
            for frame, fillers in part:
                tagged = others.say_ner(language, frame, fillers)
                blocks.append("".join(f"{word}\t{tag}\n" for word, tag in tagged))
            files[f"sample_ner/{split}.{language}.tsv"] = "\n".join(blocks)
    return files


def choice_files() -> dict[str, str]:
    """Return sample_choice: one JSON value a line, with XCOPA's keys."""
    files = {}
    for split in SPLITS:
        for language in languages_of(split):
            rows = others.choice_rows(Random(15), language, split)
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            files[f"sample_choice/{split}.{language}.jsonl"] = lines
    return files


def retrieval_files() -> dict[str, str]:
    """Return sample_retrieval: two line-aligned files for each language and English, named as Tatoeba's are."""
    files = {}
    english = "".join(f"{line}\n" for line in others.retrieval_lines("en"))
    for language in LANGUAGES[1:]:
        lines = "".join(f"{line}\n" for line in others.retrieval_lines(language))
        files[f"sample_retrieval/{language}-en.{language}"] = lines
        files[f"sample_retrieval/{language}-en.en"] = english
    return files


def all_files() -> dict[str, str]:
    """Return every data file: path below the data folder -> content."""
    return nli_files() | qa_files() | paraphrase_files() | ner_files() | choice_files() | retrieval_files()


def main() -> None:
    """Write every file below --out."""
    parser = argparse.ArgumentParser(description="Write the sample's data files from its lexicons.")
    parser.add_argument("--out", type=Path, default=FOLDER / "data", help="the folder to write to")
    out = parser.parse_args().out
    files = all_files()
    for name, content in files.items():
        write_text(out / name, content)
    print(f"{len(files)} files, {sum(len(content.encode()) for content in files.values()):,} bytes, below {out}")


if __name__ == "__main__":
    main()
