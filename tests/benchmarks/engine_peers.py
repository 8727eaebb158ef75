"""The peers of engine_speed.py: `adapters.AdapterTrainer`, and `peft` with `transformers.Trainer`.

They get the rows already encoded, through a data collator, and a head that is ours (one linear layer, same place).
Three ways of running them:
    a  as their documentation shows: fp32, batches in random order, padded to their longest row;
    b  tuned: bf16 (where the machine has instructions for it) and group_by_length;
    c  as b, with exactly the batches of our side: the same rows, so the same tokens, in every step;
    b-fp32, c-fp32  the same without bf16, which is the faster one on CPUs whose bf16 instructions are slow.
Nothing is saved, evaluated or reported while they train. Dropout is what the libraries make of the model's own
configuration. The library's choice of attention stays as it is. Its linear schedule begins at a rate of zero, ours one
step further on; it decays no biases.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from adapters import AdapterTrainer, AutoAdapterModel, Fuse, Stack
from adapters.heads import PredictionHead
from engine_data import Clock, Data, Figures
from peft import get_peft_model
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments, XLMRobertaModel
from transformers.modeling_outputs import TokenClassifierOutput
from transformers.trainer_callback import PrinterCallback

from adapterxfer.backbone import Backbone, mini_folder
from adapterxfer.backbone.hub import model_folder
from adapterxfer.features.batching import collate, evaluation_batches, training_batches
from adapterxfer.features.rows import Rows
from adapterxfer.modules.heads import Head
from adapterxfer.modules.specs import Lora, Spec, bottleneck
from adapterxfer.tasks import Task
from adapterxfer.training.recipe import Recipe

Collator = Callable[[Sequence[dict[str, Any]]], dict[str, Tensor]]
WAYS = ("a", "b", "c", "b-fp32", "c-fp32")


def has_bf16() -> bool:
    """Whether the machine has instructions for bf16, fast or not."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def peer_name(module: str, way: str) -> str:
    """Return how tables call a peer."""
    return {"bottleneck": "AdapterTrainer", "lora": "peft + Trainer"}[module] + f" ({way})"


class _Result(PredictionHead):
    """Our head as a custom head of `adapters`: logits, and the mean loss where the batch has targets."""

    def __init__(self, model: Any, name: str, task_kind: str, labels: Sequence[str]) -> None:
        super().__init__(name)
        self.config = {"task_kind": task_kind, "labels": list(labels)}
        self.inner = Head(task_kind, model.config.hidden_size, tuple(labels))

    def forward(
        self, outputs: Any, cls_output: Any = None, attention_mask: Any = None, return_dict: bool = True, **batch: Any
    ) -> TokenClassifierOutput:
        return _result(self.inner, outputs[0], attention_mask, batch)


class _WithHead(nn.Module):
    """The encoder and our head, for peft."""

    def __init__(self, encoder: Any, head: Head) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        self.config = encoder.config

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **batch: Any) -> TokenClassifierOutput:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        return _result(self.head, hidden, attention_mask, batch, inner=_unwrapped(self.head))


def _unwrapped(head: Any) -> Head:
    """Return the head behind peft's `modules_to_save` wrapper, which is what trains."""
    return head.modules_to_save["default"] if hasattr(head, "modules_to_save") else head


def _result(
    head: nn.Module, hidden: Tensor, mask: Tensor, batch: dict[str, Any], inner: Head | None = None
) -> TokenClassifierOutput:
    own = inner if inner is not None else head
    assert isinstance(own, Head)
    # Trainer.predict may cast a model to bf16 as a whole, its head included
    low = own.linear is not None and own.linear.weight.dtype == torch.bfloat16
    with torch.autocast(hidden.device.type, torch.bfloat16) if low else nullcontext():
        logits = head(hidden, mask)
    if not {"tags", "label", "start"} & set(batch):
        return TokenClassifierOutput(logits=logits)
    whole = batch | {"attention_mask": mask}
    return TokenClassifierOutput(loss=own.loss(logits.float(), whole) / max(1, own.count(whole)), logits=logits)


def _folder(backbone: Backbone) -> Path:
    return mini_folder() if backbone.name == "mini" else model_folder(backbone.name)


def adapter_model(backbone: Backbone, task: Task) -> Any:
    """Return the library's own model in fp32 with a fresh head for the task."""
    model = AutoAdapterModel.from_pretrained(_folder(backbone), dtype=torch.float32)
    model.register_custom_head("result", _Result)
    model.add_custom_head("result", "task", task_kind=task.kind, labels=task.labels)
    return model


def bottleneck_peer(backbone: Backbone, task: Task, spec: Spec, below: Sequence[Path] = (), fuse: bool = False) -> Any:
    """Return a model for `AdapterTrainer`: a fresh bottleneck, above trained ones or above their fusion."""
    model = adapter_model(backbone, task)
    names = [f"trained{number}" for number in range(len(below))]
    for name, folder in zip(names, below, strict=True):
        model.load_adapter(str(folder), load_as=name, with_head=False, use_safetensors=True)
    model.add_adapter("task", config=spec.configuration(backbone.layers, backbone.hidden_size))
    if fuse:
        model.add_adapter_fusion(Fuse(*names))
        model.train_adapter_fusion(Fuse(*names))
        model.set_active_adapters(Stack(Fuse(*names), "task"))
        for name, parameter in model.named_parameters():
            if ".adapters.task." in name:
                parameter.requires_grad_(True)
    else:
        model.train_adapter("task")
        if names:
            model.set_active_adapters(Stack(*names, "task"))
    return model


def lora_peer(backbone: Backbone, task: Task, spec: Spec) -> Any:
    """Return a model for `Trainer`: the encoder under `get_peft_model`, with a fresh head that trains along."""
    encoder = XLMRobertaModel.from_pretrained(_folder(backbone), add_pooling_layer=False, dtype=torch.float32)
    config = spec.configuration(backbone.layers, backbone.hidden_size)
    config.modules_to_save = ["head"]
    return get_peft_model(_WithHead(encoder, Head(task.kind, backbone.hidden_size, task.labels)), config)


def peer_model(backbone: Backbone, task: Task, spec: Spec, seed: int) -> Any:
    """Return the model of a run with one fresh module."""
    torch.manual_seed(seed)
    return (lora_peer if isinstance(spec, Lora) else bottleneck_peer)(backbone, task, spec)


def train_peer(model: Any, backbone: Backbone, data: Data, recipe: Recipe, way: str) -> Figures:
    """Train and time `Trainer.train` alone."""
    times = _Epochs()
    with tempfile.TemporaryDirectory() as folder:
        arguments = _arguments(
            folder,
            backbone,
            low=way in ("b", "c"),
            learning_rate=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            warmup_ratio=recipe.warmup,
            max_grad_norm=recipe.clip,
            num_train_epochs=recipe.epochs,
            max_steps=recipe.steps or -1,
            per_device_train_batch_size=recipe.batch_size,
            group_by_length=way.startswith("b"),
            seed=recipe.seed,
        )
        trainer = _trainer(model, arguments, _collator(backbone, True), _items(data.rows), times)
        if way.startswith("c"):
            batches = _OurBatches(data.rows, recipe)
            loader = DataLoader(_items(data.rows), batch_sampler=batches, collate_fn=trainer.data_collator)  # type: ignore[arg-type]
            trainer.get_train_dataloader = lambda: loader
        with Clock() as clock:
            trainer.train()
    ran = {"attention": attention(model), "precision": trainer.accelerator.mixed_precision}
    return Figures(clock.seconds, trainer.state.global_step, times.later(), extra=ran)


def dev_score(model: Any, backbone: Backbone, data: Data) -> float:
    """Return the English dev score by the library's own forward, in the precision it was trained in."""
    model.eval()
    rows = data.dev_rows
    logits: list[Any] = [None] * len(rows)
    with torch.inference_mode():
        for chosen in evaluation_batches(rows, 4096):
            found = (
                model(**collate(rows, chosen, backbone.tokenizer.pad_token_id, targets=False)).logits.float().numpy()
            )
            for index, value in zip(chosen, found, strict=True):
                logits[index] = value[: len(rows.input_ids[index])] if value.ndim == 2 else value
    return data.score(logits)


class Predictor:
    """`Trainer.predict` for any rows: "defaults" (fp32, batches of 8, in the rows' order), or tuned one of three ways.

    The tuned ways sort by length and take batches of 32: "fp32"; "full" casts the model to bf16 (`bf16_full_eval`);
    "autocast" runs it as training in bf16 does.
    """

    def __init__(self, model: Any, backbone: Backbone, way: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._tuned = way != "defaults"
        arguments = _arguments(
            self._folder.name,
            backbone,
            low=way == "autocast",
            per_device_eval_batch_size=32 if self._tuned else 8,
            bf16_full_eval=has_bf16() and way == "full",
        )
        self._trainer = _trainer(model, arguments, _collator(backbone, False), [])

    def predict(self, rows: Rows) -> tuple[float, list[np.ndarray]]:
        """Return the seconds it took, and the logits of every row."""
        lengths, items = rows.lengths(), _items(rows)
        with Clock() as clock:
            order = list(range(len(rows)))
            if self._tuned:
                order.sort(key=lambda index: -lengths[index])
            found = self._trainer.predict([items[index] for index in order]).predictions
        logits: list[Any] = [None] * len(rows)
        for index, value in zip(order, found, strict=True):
            logits[index] = value[: lengths[index]] if value.ndim == 2 else value
        return clock.seconds, logits


def faster_way(backbone: Backbone, data: Data) -> str:
    """Return which of the tuned ways of `Predictor` is faster here: the peer gets the better one."""
    took = {}
    for way in ("fp32", "full", "autocast"):
        predictor = Predictor(bottleneck_peer(backbone, data.task, bottleneck()), backbone, way)
        predictor.predict(data.dev_rows)
        took[way] = min(predictor.predict(data.dev_rows)[0] for _ in range(3))
    return min(took, key=took.__getitem__)


def attention(model: Any) -> str:
    """Return which attention the library chose."""
    return str(getattr(model.config, "_attn_implementation", "unknown"))


def _arguments(folder: str, backbone: Backbone, low: bool, **given: Any) -> TrainingArguments:
    device = next(iter(backbone.state.values())).device.type
    # a run in bf16 leaves this behind, and the next one in fp32 would take it for its own setting
    os.environ.pop("ACCELERATE_MIXED_PRECISION", None)
    return TrainingArguments(
        output_dir=folder,
        use_cpu=device == "cpu",
        bf16=low and has_bf16(),
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=device != "cpu",
        remove_unused_columns=False,  # the rows' numbers are what the collator needs
        label_names=["label", "tags", "start", "end"],
        **given,
    )


def _trainer(model: Any, arguments: Any, collator: Collator, items: list[Any], *callbacks: Any) -> Any:
    kind = AdapterTrainer if hasattr(model, "adapters_config") else Trainer
    trainer = kind(
        model=model, args=arguments, train_dataset=items, data_collator=collator, callbacks=list(callbacks) or None
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _items(rows: Rows) -> list[dict[str, Any]]:
    """Return the rows as a data set; `group_by_length` looks at `input_ids`."""
    return [{"rows": rows, "index": index, "input_ids": rows.input_ids[index]} for index in range(len(rows))]


def _collator(backbone: Backbone, targets: bool) -> Collator:
    pad = backbone.tokenizer.pad_token_id
    return lambda items: collate(items[0]["rows"], [item["index"] for item in items], pad, targets)


class _OurBatches:
    """A batch sampler that gives the updates of our side, an epoch each time it is gone through."""

    def __init__(self, rows: Rows, recipe: Recipe) -> None:
        self.rows, self.recipe, self.epoch = rows, recipe, 0

    def _updates(self) -> list[list[list[int]]]:
        return training_batches(self.rows, self.recipe.batch_size, self.recipe.seed, self.epoch, 10**9)

    def __len__(self) -> int:
        return len(self._updates())

    def __iter__(self) -> Iterator[list[int]]:
        updates = self._updates()
        self.epoch += 1
        return iter([update[0] for update in updates])


class _Epochs(TrainerCallback):
    """When each epoch began and ended."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.ended: list[float] = []

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        self.begun.append(time.perf_counter())

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        self.ended.append(time.perf_counter())

    def later(self) -> float | None:
        """Return the mean seconds of an epoch after the first."""
        count = len(self.ended) - 1
        return (self.ended[-1] - self.ended[0]) / count if count > 0 else None
