"""Rows as batches: like lengths together, so that almost nothing is padding. The only module here that knows torch."""

import random
from collections.abc import Sequence

import numpy as np
import torch

from adapterxfer.features.rows import Rows
from adapterxfer.features.tagging import IGNORED

_BATCHES_PER_CHUNK = 32


def training_batches(
    rows: Rows, batch_size: int, seed: int, epoch: int, token_budget: int = 8192
) -> list[list[list[int]]]:
    """Return the updates of one epoch, each a list of micro-batches of row indices.

    Groups are shuffled, cut into chunks of 32 batches, sorted by length within a chunk, cut into batches, and the
    batches are shuffled: lengths in a batch are alike, yet every epoch mixes differently. A pure function of its
    arguments: the generator's sequence is fixed by Python for all versions and machines.

    Args:
        rows: the encoded examples.
        batch_size: groups an update; only one update of an epoch may hold fewer.
        seed: of the run.
        epoch: from 0.
        token_budget: most tokens, padding included, of a micro-batch. A single group above it is a micro-batch alone.
    """
    members = _groups(rows)
    lengths = rows.lengths()
    longest = [int(lengths[group].max()) for group in members]
    generator = random.Random(f"{seed}/{epoch}")
    keys = [generator.random() for _ in members]
    order = sorted(range(len(members)), key=keys.__getitem__)
    updates: list[list[list[int]]] = []
    chunk = _BATCHES_PER_CHUNK * batch_size
    for start in range(0, len(order), chunk):
        alike = sorted(order[start : start + chunk], key=longest.__getitem__)
        for first in range(0, len(alike), batch_size):
            batch = alike[first : first + batch_size]
            updates.append(_within_budget([members[group].tolist() for group in batch], lengths, token_budget))
    keys = [generator.random() for _ in updates]
    return [updates[number] for number in sorted(range(len(updates)), key=keys.__getitem__)]


def micro_batches(rows: Rows, update: Sequence[int], token_budget: int) -> list[list[int]]:
    """Return an update of `training_batches`, given in one piece, cut into micro-batches within a token budget.

    Args:
        rows: the encoded examples.
        update: row indices; rows of one group stand together, and stay so.
        token_budget: as in `training_batches`.
    """
    places = np.asarray(update, np.int64)
    cuts = np.flatnonzero(np.diff(rows.group[places])) + 1
    groups = [group.tolist() for group in np.split(places, cuts)]
    return _within_budget(groups, rows.lengths(), token_budget)


def largest_group(rows: Rows) -> int:
    """Return the most tokens, padding included, that one group takes: no micro-batch can be kept below it."""
    lengths = rows.lengths()
    return max((len(group) * int(lengths[group].max()) for group in _groups(rows)), default=0)


def evaluation_batches(rows: Rows, token_budget: int, indices: Sequence[int] | None = None) -> list[list[int]]:
    """Return batches of row indices, longest first (so that what does not fit shows at once), each in the budget.

    Args:
        rows: the encoded examples.
        token_budget: most tokens, padding included, of a batch. A single row above it is a batch alone.
        indices: the rows wanted, such as those of `unique_rows`; None means all.
    """
    lengths = rows.lengths()
    wanted = range(len(rows)) if indices is None else [int(index) for index in indices]
    order = sorted(wanted, key=lambda index: (-lengths[index], index))
    return _within_budget([[index] for index in order], lengths, token_budget)


def unique_rows(rows: Rows) -> tuple[list[int], list[int]]:
    """Return the index of the first of each set of equal rows, and for every row its place in that list."""
    places: dict[bytes, int] = {}
    unique: list[int] = []
    inverse: list[int] = []
    for index, ids in enumerate(rows.input_ids):
        place = places.setdefault(ids.tobytes(), len(unique))
        if place == len(unique):
            unique.append(index)
        inverse.append(place)
    return unique, inverse


def collate(rows: Rows, indices: Sequence[int], pad_id: int, targets: bool = True) -> dict[str, torch.Tensor]:
    """Return the rows as int64 tensors, padded on the right.

    Args:
        rows: the encoded examples.
        indices: row indices; rows of one group must stand together.
        pad_id: fills `input_ids`.
        targets: whether to add what the loss needs.

    Returns:
        `input_ids` and `attention_mask` [rows, tokens] and `group_sizes` [groups], with `targets` also those of the
        rows: `label`, `start`, `end` as vectors (choice: `label` per group, `is_right` per row), `tags` [rows, tokens]
        padded with -100.
    """
    chosen = [rows.input_ids[index] for index in indices]
    width = max(len(ids) for ids in chosen)
    ids, mask = np.full((len(chosen), width), pad_id, np.int64), np.zeros((len(chosen), width), np.int64)
    for place, row in enumerate(chosen):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    places = np.asarray(indices, np.int64)
    firsts = np.flatnonzero(np.diff(rows.group[places], prepend=-1))
    batch = {"input_ids": ids, "attention_mask": mask, "group_sizes": np.diff(firsts, append=len(chosen))}
    for name, values in rows.targets.items() if targets else ():
        if name == "tags":
            padded = np.full((len(chosen), width), IGNORED, np.int64)
            for place, index in enumerate(indices):
                padded[place, : len(values[index])] = values[index]
            batch[name] = padded
        elif name == "label" and "is_right" in rows.targets:
            batch[name] = values[rows.example[places[firsts]]]
        else:
            batch[name] = values[places]
    return {name: torch.from_numpy(np.ascontiguousarray(value).astype(np.int64)) for name, value in batch.items()}


def _groups(rows: Rows) -> list[np.ndarray]:
    """Return the row indices of each group, in the groups' order."""
    order = np.argsort(rows.group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(rows.group[order])) + 1) if len(order) else []


def _within_budget(groups: list[list[int]], lengths: np.ndarray, budget: int) -> list[list[int]]:
    """Join neighbouring groups of rows as long as rows x longest row stays in the budget."""
    batches: list[list[int]] = []
    current: list[int] = []
    width = 0
    for group in groups:
        longest = int(max(lengths[index] for index in group))
        if current and (len(current) + len(group)) * max(width, longest) > budget:
            batches.append(current)
            current, width = [], 0
        current = current + group
        width = max(width, longest)
    return [*batches, current] if current else batches
