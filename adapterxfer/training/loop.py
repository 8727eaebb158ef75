"""The training loop, one for every kind of task and for any number of models at once: read it top to bottom."""

import sys
from collections.abc import Sequence

import torch

from adapterxfer.engine.memory import is_out_of_memory, release
from adapterxfer.errors import RunError
from adapterxfer.progress import progress
from adapterxfer.training.course import Course, Job, Trained
from adapterxfer.training.interruption import stop_requests
from adapterxfer.training.update import gradients, step


class StoppedError(RunError):
    """The user or the system asked the run to stop; it can be resumed."""


def train(jobs: Sequence[Job]) -> list[Trained]:
    """Train what is trainable in each job's model, and its head; go on from the checkpoints that are there.

    The jobs take their updates in step, so that models on one backbone go through it together (joint.py); each ends up
    as if it had been trained alone. The loss of an update is the mean over its decisions, however it is cut into
    micro-batches. Dropout, where a module has it, is drawn from (seed, update), so that a resumed run draws what an
    uninterrupted one would have.

    Returns:
        What became of each job, in their order. One that did not learn ends early and says so in `failure`.

    Raises:
        RunError: when the disk refuses a checkpoint, or memory holds not even one example.
        StoppedError: after SIGINT or SIGTERM, with checkpoints written.
    """
    courses = [Course(job) for job in jobs]
    for course in courses:
        course.job.attached.set_training(True)
    total, done = sum(course.total for course in courses), sum(course.state.step for course in courses)
    with progress("training", total, "updates") as bar, stop_requests() as stop:
        bar.advance(done)
        while running := [course for course in courses if not course.over]:
            last = min(course.state.step for course in running)
            turn = [course for course in running if course.state.step == last]  # who is ahead after a resume waits
            for course, loss in zip(turn, _update(turn), strict=True):
                course.end(loss)
            bar.advance(len(turn), f"loss {sum(course.loss for course in turn) / len(turn):.3f}")
            if stop and any(not course.over for course in courses):
                for course in courses:
                    course.keep()
                raise StoppedError(
                    f"stopped by {stop.name} after update {last + 1} of {turn[0].total}; --resume goes on."
                )
    return [course.result() for course in courses]


def _update(turn: Sequence[Course]) -> list[float]:
    """Take one update of each course; one that does not fit into memory is cut smaller and taken again."""
    drawn = [course.begin() for course in turn]
    learners = [course.learner for course in turn]
    first, together = turn[0], len(turn)
    losses: list[float] = []
    while not losses:
        sizes = []
        try:
            batches = []
            for course, rows in zip(turn, drawn, strict=True):
                budget = max(1, course.state.token_budget // together)  # those in one pass share the room
                batches.append(course.learner.batches(course.job.rows, rows, budget, course.job.prefix))
                sizes.append(max(batch["input_ids"].numel() for batch in batches[-1]))
            torch.manual_seed(first.job.recipe.seed * 1_000_003 + first.state.step)
            losses = gradients(learners, batches)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        if not losses:  # outside the handler: the error holds what the pass had made
            del batches
            _cut_smaller(turn, sizes)
    for learner, loss in zip(learners, losses, strict=True):
        step(learner, loss)
    return losses


def _cut_smaller(turn: Sequence[Course], sizes: list[int]) -> None:
    for course in turn:
        course.state.optimizer.zero_grad(set_to_none=True)
    release()
    budgets = [course.halve(tokens, len(turn)) for course, tokens in zip(turn, sizes, strict=True)]
    sys.stderr.write(
        f"out of memory in a pass over {sum(sizes)} tokens: going on with {max(budgets)} at most; the examples of an "
        "update stay the same\n"
    )
