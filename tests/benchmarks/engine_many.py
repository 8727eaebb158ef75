"""Many runs over the same data: eight trainings on one target, and the evaluation of eight modules in ten languages."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import engine_data
import engine_peers
import engine_sides
import numpy as np
import torch
from engine_bench import Bench, Side, peer_sides, prefix_folder, warm_up
from engine_data import Clock, Data, Figures, load_data, recipe_of, spec_of
from engine_table import OURS

from adapterxfer.engine.inference import outputs
from adapterxfer.evaluation.scores import score
from adapterxfer.features.kinds import kind_of
from adapterxfer.modules.expression import Expression, Fuse, Stack, Trained
from adapterxfer.tasks import load_examples, load_task
from adapterxfer.transfer.planning import feature_settings

EVALUATED = {"panx": "panx", "nli": "xnli"}
LANGUAGES = {
    "panx": ("en", "af", "bn", "de", "hi", "sw", "ta", "te", "tr", "ur"),
    "nli": ("en", "ar", "de", "el", "es", "fr", "hi", "ru", "sw", "tr"),
}
Found = list[list[np.ndarray]]  # the logits of every row, for each language and module


def eight_runs(bench: Bench) -> None:
    """Four compositions with two seeds on one target: a fresh module, above A, above B, above the fusion of both."""
    options, backbone = bench.options, bench.backbone
    spec = spec_of("bottleneck", options.layers, backbone)
    data = bench.data(options.data[0])
    warm_up(bench, data)
    with tempfile.TemporaryDirectory() as folder:
        a, b = _trained_modules(bench, Path(folder))
        first, second = Trained(str(a)), Trained(str(b))
        compositions: list[tuple[Expression, list[Path], bool]] = [
            (spec, [], False),
            (Stack(first, spec), [a], False),
            (Stack(second, spec), [b], False),
            (Stack(Fuse(first, second), spec), [a, b], True),
        ]

        def ours(seed: int) -> Figures:
            runs = []
            with prefix_folder(options.layers) as prefix:  # the first run fills it, the others find it
                for expression, _, _ in compositions:
                    for own in (2 * seed, 2 * seed + 1):
                        attached, head = engine_sides.build(backbone, data, expression, own)
                        recipe = recipe_of(options.epochs, own)
                        runs.append(engine_sides.train_ours(attached, head, data, recipe, prefix))
                        runs[-1].score = engine_sides.dev_score(attached, head, data)
            return _joined(runs)

        def peer(way: str, seed: int) -> Figures:
            runs = []
            for _, below, fuse in compositions:
                for own in (2 * seed, 2 * seed + 1):
                    torch.manual_seed(own)
                    model = engine_peers.bottleneck_peer(backbone, data.task, spec, below, fuse)
                    runs.append(engine_peers.train_peer(model, backbone, data, recipe_of(options.epochs, own), way))
                    runs[-1].score = engine_peers.dev_score(model, backbone, data)
            return _joined(runs)

        bench.interleave(bench.group(data, "8 runs"), {OURS: ours} | peer_sides(options, peer))


def _trained_modules(bench: Bench, folder: Path) -> list[Path]:
    """Train one short module on NLI and one on questions, in the layers asked for; return their folders."""
    found = []
    for name in ("nli", "qa"):
        data = load_data(name, bench.backbone, bench.options.data_dir, 64, 8)
        spec = spec_of("bottleneck", bench.options.layers, bench.backbone)
        attached, head = engine_sides.build(bench.backbone, data, spec, 0)
        engine_sides.train_ours(attached, head, data, recipe_of(1, 0))
        attached.save(folder / name)
        found.append(folder / name / "module")
    return found


def _joined(runs: list[Figures]) -> Figures:
    """Return the sum of runs that come one after the other, and their mean score."""
    scores = [run.score for run in runs if run.score is not None]
    extra = {key: value for key, value in runs[0].extra.items() if key != "prefix_seconds"}
    extra["each"] = [round(run.seconds, 3) for run in runs]
    if "prefix_seconds" in runs[0].extra:
        extra["prefix_seconds"] = sum(run.extra["prefix_seconds"] for run in runs)
    seconds, updates = sum(run.seconds for run in runs), sum(run.updates or 0 for run in runs)
    return Figures(seconds, updates, None, sum(scores) / len(scores), extra)


def evaluate(bench: Bench) -> None:
    """Logits of eight trained modules for every row of ten languages; ours share the prefix, which is made anew."""
    options, backbone = bench.options, bench.backbone
    name = options.data[0]
    data = bench.data(name)
    corpus = _Corpus(bench, data)
    with tempfile.TemporaryDirectory() as folder:
        modules = []
        spec = spec_of("bottleneck", options.layers, backbone)
        for seed in range(options.modules):
            attached, head = engine_sides.build(backbone, data, spec, seed)
            engine_sides.train_ours(attached, head, data, recipe_of(options.epochs, seed))
            attached.save(Path(folder) / str(seed))
            modules.append((attached, head, Path(folder) / str(seed) / "module"))

        def ours() -> tuple[float, Found]:
            found = []
            with prefix_folder(options.layers) as prefix, Clock() as clock:
                for rows in corpus.rows.values():
                    given = {} if prefix is None else {"prefix": engine_sides.prefix_of(modules[0][0], rows, prefix)}
                    found += [outputs(attached, head, rows, **given) for attached, head, _ in modules]
            return clock.seconds, found

        def predictor(way: str) -> Callable[[], tuple[float, Found]]:
            model = engine_peers.adapter_model(backbone, data.task)
            for number, (_, _, path) in enumerate(modules):
                model.load_adapter(str(path), load_as=f"module{number}", with_head=False, use_safetensors=True)
            model.set_active_adapters("module0")
            trainer = engine_peers.Predictor(model, backbone, way)

            def run() -> tuple[float, Found]:
                seconds, found = 0.0, []
                for rows in corpus.rows.values():
                    for number, (_, head, _) in enumerate(modules):
                        model.set_active_adapters(f"module{number}")
                        model.heads["task"].inner.load_state_dict(head.state_dict())
                        took, logits = trainer.predict(rows)
                        seconds, found = seconds + took, [*found, logits]
                return seconds, found

            return run

        reference = ours()[1]

        def side(run: Callable[[], tuple[float, Found]], **extra: Any) -> Side:
            def timed(_: int) -> Figures:
                seconds, found = run()
                same = {"agreement": _agreement(found, reference)}
                return Figures(seconds, score=corpus.score(found, len(modules)), extra=extra | same)

            return timed

        tuned = engine_peers.faster_way(backbone, data)
        sides = {
            OURS: side(ours),
            "Trainer.predict (defaults)": side(predictor("defaults"), precision="no"),
            "Trainer.predict (tuned)": side(predictor(tuned), precision=tuned),
        }
        group = {"data": name, "module": f"evaluation of {len(modules)} modules", "layers": options.layers}
        group |= {"examples": sum(map(len, corpus.rows.values())), "languages": len(corpus.rows)}
        group["tokens"] = sum(int(rows.lengths().sum()) for rows in corpus.rows.values())
        bench.interleave(group, sides)


class _Corpus:
    """The examples of ten languages and their rows."""

    def __init__(self, bench: Bench, data: Data) -> None:
        self.task = load_task(EVALUATED[data.name])
        settings = feature_settings(self.task, engine_data.PROTOCOL, bench.backbone.max_length)
        self.examples, self.rows = {}, {}
        for language in LANGUAGES[data.name]:
            examples = load_examples(self.task, "dev", language, bench.options.data_dir)
            self.examples[language] = engine_data.draw(examples, bench.options.sentences)
            rows = kind_of(self.task).encode(self.task, self.examples[language], bench.backbone.tokenizer, settings)
            self.rows[language] = rows

    def score(self, found: Found, modules: int) -> float:
        """Return the mean score over languages and modules."""
        scores = []
        for place, (language, rows) in enumerate(self.rows.items()):
            for logits in found[place * modules : (place + 1) * modules]:
                predictions = kind_of(self.task).decode(self.task, self.examples[language], rows, logits)
                scores.append(score(self.task, self.examples[language], predictions, language)["score"])
        return float(np.mean(scores))


def _agreement(found: Found, reference: Found) -> float:
    """Return the per cent of labels that are the same, over tokens or rows."""
    same, count = 0, 0
    for ours, theirs in zip(_flat(found), _flat(reference), strict=True):
        same += int((ours.argmax(-1) == theirs.argmax(-1)).sum())
        count += int(np.prod(ours.shape[:-1]))
    return 100 * same / count


def _flat(found: Found) -> Sequence[np.ndarray]:
    return [logits for each in found for logits in each]
