"""Run rows through encoder and head: equal rows once, like lengths together, results back in the rows' order."""

import numpy as np
import torch

from adapterxfer.engine.encoder import encode
from adapterxfer.features.batching import collate, evaluation_batches, unique_rows
from adapterxfer.features.rows import Rows
from adapterxfer.modules.attach import Attached
from adapterxfer.modules.heads import Head
from adapterxfer.progress import progress

TOKEN_BUDGET = 4096  # larger batches only cost memory: on a CPU they are no faster


@torch.inference_mode()
def outputs(
    attached: Attached, head: Head, rows: Rows, layer: int | None = None, label: str = "evaluating"
) -> list[np.ndarray]:
    """Return the head's logits of every row, without padding, as float32.

    Args:
        attached: the backbone with its modules.
        head: the task's head.
        rows: the encoded examples.
        layer: read the encoder after this many layers; None means the last.
        label: what the progress line says.
    """
    device = next(attached.model.parameters()).device
    head.to(device)
    attached.set_training(False)
    unique, inverse = unique_rows(rows)
    pad = attached.backbone.tokenizer.pad_token_id
    kept: dict[int, np.ndarray] = {}
    with progress(label, len(unique), "rows") as bar:
        for indices in evaluation_batches(rows, TOKEN_BUDGET, unique):
            batch = {key: value.to(device) for key, value in collate(rows, indices, pad, targets=False).items()}
            hidden = encode(attached, batch["input_ids"], batch["attention_mask"], layer)
            logits = head(hidden, batch["attention_mask"]).cpu().numpy()
            for index, value in zip(indices, logits, strict=True):
                # per-token logits end with the row; a pooled row has none to cut
                kept[index] = value[: len(rows.input_ids[index])].copy() if value.ndim == 2 else value.copy()
            bar.advance(len(indices))
    return [kept[unique[position]] for position in inverse]
