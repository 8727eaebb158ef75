"""One update: the gradient of a batch, however it is cut into micro-batches, and the optimiser's step.

Several models that share a backbone take theirs together: their micro-batches go through the encoder as one.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from adapterxfer.engine.encoder import encode
from adapterxfer.engine.joint import Pass, encode_together
from adapterxfer.engine.prefix import Prefix
from adapterxfer.features.batching import collate, micro_batches
from adapterxfer.features.rows import Rows
from adapterxfer.modules.attach import Attached
from adapterxfer.modules.heads import Head
from adapterxfer.training.checkpoint import State

Batch = dict[str, Any]


@dataclass(frozen=True)
class Learner:
    """One model in training: what an update of it moves. `depth` layers of its encoder are frozen, from below."""

    attached: Attached
    head: Head
    state: State
    clip: float
    depth: int = 0

    def batches(self, rows: Rows, update: Sequence[int], budget: int, prefix: Prefix | None) -> list[Batch]:
        """Return an update's rows as tensors on the device, within a budget; with the frozen layers' output if kept."""
        device = next(self.attached.model.parameters()).device
        pad = self.attached.backbone.tokenizer.pad_token_id
        found = []
        for indices in micro_batches(rows, update, budget):
            batch = collate(rows, indices, pad)
            if prefix is not None:
                batch["prefix"] = prefix.gather(indices, batch["input_ids"].shape[1])
            found.append({key: value.to(device) for key, value in batch.items()})
        return found

    def reading(self, batch: Batch) -> Pass:
        """Return what the encoder is to read of a batch."""
        hidden = batch.get("prefix")
        start = self.depth if hidden is not None else 0
        return Pass(self.attached, batch["input_ids"], batch["attention_mask"], start, hidden)


def update(learners: Sequence[Learner], batches: Sequence[list[Batch]]) -> list[float]:
    """Do one update of each learner over its micro-batches; return their mean losses, without fusions' regulariser."""
    means = gradients(learners, batches)
    for learner, mean in zip(learners, means, strict=True):
        step(learner, mean)
    return means


def gradients(learners: Sequence[Learner], batches: Sequence[list[Batch]]) -> list[float]:
    """Add up the gradient of each learner's loss over its micro-batches; return the mean losses."""
    counts = [max(1, sum(one.head.count(batch) for batch in own)) for one, own in zip(learners, batches, strict=True)]
    means = [0.0] * len(learners)
    added = [number for number, learner in enumerate(learners) if not learner.head.dual]
    for learner in learners:
        if learner.head.dual:
            number = learners.index(learner)
            means[number] = _search(learner, batches[number], counts[number])
    for turn in itertools.zip_longest(*(batches[number] for number in added)):
        present = [(number, batch) for number, batch in zip(added, turn, strict=True) if batch is not None]
        hidden = encode_together([learners[number].reading(batch) for number, batch in present])
        losses = []
        for (number, batch), states in zip(present, hidden, strict=True):
            learner = learners[number]
            loss = learner.head.loss(learner.head(states, batch["attention_mask"]), batch) / counts[number]
            means[number] += loss.item()
            losses.append(learner.state.scaler.scale(loss))
        torch.stack(losses).sum().backward()
    return means


def step(learner: Learner, mean: float) -> None:
    """Move what trains along its gradient."""
    state, attached = learner.state, learner.attached
    if attached.fusion:  # in the loss, once an update, so that it is scaled, clipped and stepped with everything else
        state.scaler.scale(attached.model.roberta.get_fusion_regularization_loss()).backward()
    state.scaler.unscale_(state.optimizer)
    torch.nn.utils.clip_grad_norm_(state.parameters.values(), learner.clip)
    if math.isfinite(mean):  # a loss that is not a number must not reach the weights
        state.scaler.step(state.optimizer)
        state.scaler.update()
    state.optimizer.zero_grad(set_to_none=True)


def _vectors(learner: Learner, batch: Batch) -> Tensor:
    one = learner.reading(batch)
    hidden = encode(one.attached, one.input_ids, one.mask, start=one.start, hidden=one.hidden)
    output: Tensor = learner.head(hidden, one.mask)
    return output


def _search(learner: Learner, batches: list[Batch], count: int) -> float:
    """Take the gradient of a loss in which every query of the update meets every candidate of it.

    Micro-batches cannot be added up here, because each row's loss needs the vectors of all. So vectors come first,
    without a graph; then the loss of all and its gradient at each vector; then each micro-batch again, carrying its
    vectors' gradient down (Gao et al. 2021, arXiv 2101.06983). Both passes draw the same dropout.
    """
    head, scaler = learner.head, learner.state.scaler
    if len(batches) == 1:
        loss = head.loss(_vectors(learner, batches[0]), batches[0]) / count
        scaler.scale(loss).backward()
        return loss.item()
    drawn = []
    vectors = []
    with torch.no_grad():
        for batch in batches:
            drawn.append(_drawn(batch))
            vectors.append(_vectors(learner, batch))
    joined = torch.cat(vectors).requires_grad_()
    whole = {"candidate": torch.cat([batch["candidate"] for batch in batches])}
    loss = head.loss(joined, whole) / count
    scaler.scale(loss).backward()
    assert joined.grad is not None
    for batch, states, gradient in zip(batches, drawn, joined.grad.split([len(one) for one in vectors]), strict=True):
        _draw_again(states)
        _vectors(learner, batch).backward(gradient)
    return loss.item()


def _drawn(batch: Batch) -> tuple[Tensor, Tensor | None]:
    device = batch["input_ids"].device
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


def _draw_again(states: tuple[Tensor, Tensor | None]) -> None:
    torch.set_rng_state(states[0])
    if states[1] is not None:
        torch.cuda.set_rng_state(states[1])
