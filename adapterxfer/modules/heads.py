"""Heads: one linear layer each over the encoder's output, in fp32, with the loss of its kind of task."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adapterxfer.errors import UserError
from adapterxfer.files import read_json, write_json
from adapterxfer.modules.storage import fill, read_tensors, write_tensors

Batch = dict[str, Tensor]
KINDS = ("pair", "choice", "tagging", "span", "retrieval")


def pool(hidden: Tensor, mask: Tensor, how: str) -> Tensor:
    """Reduce [rows, tokens, hidden] to [rows, hidden]: the `first` token, or the `mean` over tokens in `mask`."""
    if how == "first":
        return hidden[:, 0]
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)


class Head(nn.Module):
    """Maps encoder output to a kind's logits, and these to its loss.

    pair: pooled -> [rows, labels]; choice: pooled -> [rows, 1], softmax over the rows of a group; tagging:
    [rows, tokens, labels]; span: [rows, tokens, 2] (start, end); retrieval: no layer, the pooled vector itself.
    """

    def __init__(self, kind: str, hidden: int, labels: tuple[str, ...] = (), pooling: str = "mean") -> None:
        super().__init__()
        self.kind, self.hidden, self.labels, self.pooling = kind, hidden, tuple(labels), pooling
        width = {"pair": len(labels), "choice": 1, "tagging": len(labels), "span": 2, "retrieval": 0}[kind]
        self.linear = nn.Linear(hidden, width) if width else None
        if self.linear is not None:
            nn.init.normal_(self.linear.weight, std=0.02)
            nn.init.zeros_(self.linear.bias)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Return the logits (shapes above) for encoder output [rows, tokens, hidden] and its attention mask."""
        hidden = hidden.float()
        if self.kind in ("pair", "choice", "retrieval"):
            hidden = pool(hidden, mask, self.pooling)
        return hidden if self.linear is None else self.linear(hidden)

    def count(self, batch: Batch) -> int:
        """Return how many decisions a batch holds: the loss of an update is the mean over these."""
        if self.kind == "tagging":
            return int((batch["tags"] != -100).sum())
        return len(batch["group_sizes"])

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the summed cross-entropy over the batch's decisions; divide by the update's `count` for the mean."""
        if self.kind == "pair":
            return functional.cross_entropy(logits, batch["label"], reduction="sum")
        if self.kind == "tagging":
            return functional.cross_entropy(logits.flatten(0, 1), batch["tags"].flatten(), reduction="sum")
        if self.kind == "choice":
            groups = torch.split(logits.squeeze(-1), batch["group_sizes"].tolist())
            padded = nn.utils.rnn.pad_sequence(list(groups), batch_first=True, padding_value=float("-inf"))
            return functional.cross_entropy(padded, batch["label"], reduction="sum")
        if self.kind == "span":
            masked = logits.masked_fill(batch["attention_mask"].unsqueeze(-1) == 0, float("-inf"))
            start, end = masked.unbind(-1)
            losses = [functional.cross_entropy(start, batch["start"], reduction="sum")]
            losses.append(functional.cross_entropy(end, batch["end"], reduction="sum"))
            return (losses[0] + losses[1]) / 2
        raise UserError(f"a task of kind {self.kind} has no training loss.")

    def save(self, folder: Path) -> None:
        """Write head.json and head.safetensors."""
        write_tensors(folder / "head.safetensors", dict(self.state_dict()))
        record = {"kind": self.kind, "hidden": self.hidden, "labels": list(self.labels), "pooling": self.pooling}
        write_json(folder / "head.json", record)

    @classmethod
    def load(cls, folder: Path) -> "Head":
        """Read what `save` wrote.

        Raises:
            UserError: when it is missing, damaged or of other shapes.
        """
        record: dict[str, Any] = read_json(folder / "head.json")
        head = cls(record["kind"], record["hidden"], tuple(record["labels"]), record["pooling"])
        tensors = read_tensors(folder / "head.safetensors")
        fill(head, tensors, [name for name, _ in head.named_parameters()], folder / "head.safetensors")
        return head.requires_grad_(False)
