"""Run rows through encoder and head: equal rows once, like lengths together, results back in the rows' order."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adapterxfer.engine.encoder import Program, encode, program_of
from adapterxfer.engine.memory import is_out_of_memory, release, token_budget
from adapterxfer.engine.prefix import Prefix, prefix_depth, prefix_key
from adapterxfer.errors import RunError
from adapterxfer.features.batching import collate, evaluation_batches, unique_rows
from adapterxfer.features.rows import Rows
from adapterxfer.modules.attach import Attached
from adapterxfer.modules.heads import Head
from adapterxfer.progress import progress


def outputs(
    attached: Attached,
    head: Head,
    rows: Rows,
    layer: int | None = None,
    label: str = "evaluating",
    prefix: Prefix | None = None,
) -> list[np.ndarray]:
    """Return the head's logits of every row, without padding, as float32.

    Args:
        attached: the backbone with its modules.
        head: the task's head.
        rows: the encoded examples.
        layer: read the encoder after this many layers; None means the last.
        label: what the progress line says.
        prefix: the kept output of the frozen layers for these rows, where there is one.

    Raises:
        RunError: when not even one row fits into memory.
    """
    return outputs_together([(attached, head)], rows, layer, label, prefix)[0]


@torch.inference_mode()
def outputs_together(
    models: Sequence[tuple[Attached, Head]],
    rows: Rows,
    layer: int | None = None,
    label: str = "evaluating",
    prefix: Prefix | None = None,
) -> list[list[np.ndarray]]:
    """Return what `outputs` returns for each of several models, which share the frozen layers that they have in common.

    Args:
        models: backbones with their modules, and heads.
        rows: the encoded examples, the same for all.
        layer: as in `outputs`.
        label: as in `outputs`.
        prefix: the kept output of the frozen layers of all models.
    """
    device = next(models[0][0].model.parameters()).device
    runners = []
    for attached, head in models:
        head.to(device)
        attached.set_training(False)
        runners.append(_Runner(attached, head, program_of(attached).folded(), {}))
    shared = _shared(runners, rows, layer, prefix)
    unique, inverse = unique_rows(rows)
    pad = models[0][0].backbone.tokenizer.pad_token_id
    widest = int(rows.lengths().max()) if len(rows) else 0
    waiting = evaluation_batches(rows, token_budget(models[0][0], widest, training=False), unique)[::-1]
    with progress(label, len(unique) * len(models), "rows") as bar:
        while waiting:
            indices = waiting.pop()
            batch = {key: value.to(device) for key, value in collate(rows, indices, pad, targets=False).items()}
            try:
                _run(runners, batch, indices, layer, shared, prefix)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if len(indices) == 1:
                    tokens = batch["input_ids"].shape[1]
                    raise RunError(f"{label}: not even one row of {tokens} tokens fits into memory.") from None
                half = len(indices) // 2
                waiting += [indices[half:], indices[:half]]
                tokens = batch["input_ids"].numel()
            else:
                bar.advance(len(indices) * len(models))
                continue
            release()  # outside the handler: the error holds what the pass had made
            waiting = _smaller(waiting, rows, tokens // 2)
            sys.stderr.write(f"{label}: out of memory at {tokens} tokens a pass; going on with {tokens // 2}\n")
    return [[runner.kept[unique[position]] for position in inverse] for runner in runners]


@dataclass(frozen=True)
class _Runner:
    """One model, folded for inference, and the logits of the rows that are done."""

    attached: Attached
    head: Head
    program: Program
    kept: dict[int, np.ndarray]

    def keep(self, hidden: Tensor, mask: Tensor, indices: list[int], lengths: list[int]) -> None:
        """Keep the logits of a batch."""
        logits = self.head(hidden, mask).cpu().numpy()
        for index, value, length in zip(indices, logits, lengths, strict=True):
            # per-token logits end with the row; a pooled row has none to cut
            self.kept[index] = value[:length].copy() if value.ndim == 2 else value.copy()


def _shared(runners: list[_Runner], rows: Rows, layer: int | None, prefix: Prefix | None) -> int:
    """Return how many layers are the same for all models, and are computed once a batch."""
    if prefix is not None or len(runners) < 2 or layer is not None:
        return 0
    depth = min(prefix_depth(runner.attached) for runner in runners)
    keys = {prefix_key(runner.attached, rows, depth) for runner in runners} if depth else set()
    return depth if len(keys) == 1 else 0


def _run(
    runners: list[_Runner],
    batch: dict[str, Tensor],
    indices: list[int],
    layer: int | None,
    shared: int,
    prefix: Prefix | None,
) -> None:
    ids, mask = batch["input_ids"], batch["attention_mask"]
    start, hidden = shared, None
    if prefix is not None and (layer is None or layer >= prefix.depth):
        start, hidden = prefix.depth, prefix.gather(indices, ids.shape[1]).to(ids.device)
    elif shared:
        first = runners[0]
        hidden = encode(first.attached, ids, mask, shared, program=first.program)
    lengths = mask.sum(1).tolist()
    for runner in runners:
        states = encode(runner.attached, ids, mask, layer, start=start, hidden=hidden, program=runner.program)
        runner.keep(states, mask, indices, lengths)


def _smaller(waiting: list[list[int]], rows: Rows, budget: int) -> list[list[int]]:
    """Return the batches that wait, last first, cut to a budget."""
    left = [index for indices in waiting for index in indices]
    return evaluation_batches(rows, budget, left)[::-1]
