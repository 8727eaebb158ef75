"""Keeping the best of several looks at the development set."""

import pytest
import torch

from adapterxfer.features.kinds import FeatureSettings, kind_of
from adapterxfer.modules.attach import attach
from adapterxfer.modules.heads import Head
from adapterxfer.modules.specs import Bottleneck
from adapterxfer.tasks.examples import PairExample
from adapterxfer.training.course import Job
from adapterxfer.training.loop import train
from adapterxfer.training.recipe import Recipe
from adapterxfer.training.selection import Selection


def looks(scores, patience=None):
    """Look once an update at these scores, the weight being the update's number; return the selection and weight."""
    weight = torch.nn.Parameter(torch.zeros(1))
    remaining = iter(scores)
    selection = Selection(1, patience, lambda: next(remaining))
    for step in range(1, len(scores) + 1):
        if selection.exhausted:
            break
        weight.data.fill_(step)
        selection.look(step, {"weight": weight})
    selection.restore({"weight": weight})
    return selection, weight.item()


def test_the_weights_of_the_best_look_come_back():
    selection, weight = looks([50.0, 70.0, 60.0])
    assert (selection.best, selection.step, weight) == (70.0, 2, 2.0)


def test_of_equal_looks_the_first_is_kept():
    assert looks([70.0, 70.0])[1] == 1.0


def test_patience_ends_the_looking_and_an_improvement_starts_it_anew():
    selection, weight = looks([1.0, 0.0, 2.0, 1.0, 1.0, 9.0], patience=2)
    assert (selection.step, weight, selection.exhausted) == (3, 3.0, True)
    assert looks([1.0, 0.0, 0.0, 9.0])[1] == 4.0


class CutOffError(Exception):
    """Stands for a power cut."""


@pytest.fixture(scope="module")
def parts(tiny, make_task):
    task = make_task("pair", ("yes", "no"))
    examples = [PairExample(str(n), f"word {n}", f"other {n % 3}", ("yes", "no")[n % 2]) for n in range(24)]
    rows = kind_of(task).encode(task, examples, tiny.tokenizer, FeatureSettings(16))

    calls: list[int] = []

    def counted(folder, scores, cut=None):
        def score():
            if cut is not None and len(calls) == cut:
                raise CutOffError
            calls.append(0)
            return scores[len(calls) - 1]

        torch.manual_seed(0)
        attached, head = attach(tiny, Bottleneck(reduction=4), "toy", 0), Head("pair", tiny.hidden_size, ("yes", "no"))
        recipe = Recipe(steps=20, batch_size=4, select_every=2, seed=3)
        [summary] = train([Job(attached, head, rows, recipe, folder, "identity", score)])
        return summary, {name: value.detach().clone() for name, value in attached.trainable().items()}

    return calls, counted


def test_a_training_keeps_its_best_look_also_when_it_was_interrupted_after_it(parts, tmp_path):
    calls, run = parts
    scores = [10.0, 90.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 85.0]
    whole, kept = run(tmp_path / "whole", scores)
    assert (whole.updates, whole.kept, whole.dev_score, len(calls)) == (20, 4, 90.0, 10)
    calls.clear()
    (tmp_path / "cut").mkdir()
    with pytest.raises(CutOffError):
        run(tmp_path / "cut", scores, cut=5)
    # the checkpoint is of the update before the look that was cut off: the looks before it are remembered
    resumed, again = run(tmp_path / "cut", scores)
    assert (resumed.kept, resumed.dev_score) == (4, 90.0)
    assert all(torch.equal(kept[name], again[name]) for name in kept)
