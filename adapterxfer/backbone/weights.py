"""Reads the frozen weights of an XLM-R folder, and names them by a digest."""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapterxfer.errors import UserError
from adapterxfer.files import read_json, sha256_json

if TYPE_CHECKING:
    from torch import Tensor

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
)
# Heads and the pooler of whatever the checkpoint was saved from; a frozen encoder has none.
_OTHERS = ("pooler.", "lm_head.", "classifier.", "qa_outputs.")


def read_config(folder: Path) -> Any:
    """Return the `XLMRobertaConfig` of a folder.

    Raises:
        UserError: when it is missing, malformed or of another type of model.
    """
    path = folder / "config.json"
    raw = read_json(path)
    kind = raw.get("model_type") if isinstance(raw, dict) else None
    if kind != "xlm-roberta":
        raise UserError(f"{path}: the model is of type {kind!r}; a backbone must be an XLM-R model ('xlm-roberta').")
    for key in _SIZES:
        if not isinstance(raw.get(key), int) or raw[key] < 1:
            raise UserError(f"{path}: {key} must be a positive whole number, not {raw.get(key)!r}.")
    if raw["hidden_size"] % raw["num_attention_heads"]:
        raise UserError(f"{path}: hidden_size {raw['hidden_size']} is not a multiple of num_attention_heads.")
    from transformers import XLMRobertaConfig
    from transformers.activations import ACT2FN

    config = XLMRobertaConfig.from_dict(raw)
    if config.hidden_act not in ACT2FN:
        raise UserError(f"{path}: the hidden_act {config.hidden_act!r} is unknown.")
    pad = config.pad_token_id
    if not isinstance(pad, int) or not 0 <= pad < min(config.vocab_size, config.max_position_embeddings - 3):
        raise UserError(f"{path}: pad_token_id {pad!r} does not fit vocab_size and max_position_embeddings.")
    return config


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a folder, those of an index included.

    Raises:
        UserError: when there are none, or one that the index names is missing.
    """
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if not (folder / INDEX).is_file():
        raise UserError(f"{folder} holds no {SINGLE}: only safetensors weights are read; convert the model first.")
    index = read_json(folder / INDEX)
    names = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise UserError(f"{folder / INDEX} has no usable weight_map.")
    files = [folder / Path(name).name for name in sorted(set(names.values()))]
    for file in files:
        if not file.is_file():
            raise UserError(f"{file} is missing, though {INDEX} names it.")
    return files


def read_state(folder: Path, expected: Mapping[str, tuple[int, ...]]) -> dict[str, "Tensor"]:
    """Return the weights of `XLMRobertaModel` as they are stored, mapped from the files and not copied.

    Args:
        folder: the model's folder.
        expected: every name the encoder needs, with its shape.

    Raises:
        UserError: when a file is damaged, a weight is missing or unknown, or has another shape than the config says.
    """
    from safetensors import SafetensorError, safe_open

    state: dict[str, Tensor] = {}
    for file in weight_files(folder):
        try:
            with safe_open(file, framework="pt") as stored:
                for key in stored.keys():  # noqa: SIM118  (not a dict)
                    name = key.removeprefix("roberta.")
                    if name in expected:
                        state[name] = stored.get_tensor(key)
                    elif not name.startswith(_OTHERS) and not name.endswith(".position_ids"):
                        raise UserError(f"{file}: the weight {key} is none of an XLM-R model of this config.json.")
        except (SafetensorError, OSError) as error:
            raise UserError(f"{file} is damaged or not a safetensors file: {_line(error)}.") from None
    for name, shape in expected.items():
        if name not in state:
            raise UserError(f"{folder}: the weight {name} is missing.")
        if tuple(state[name].shape) != shape:
            raise UserError(
                f"{folder}: the weight {name} has shape {tuple(state[name].shape)}, config.json says {shape}."
            )
        if not state[name].is_floating_point():
            raise UserError(f"{folder}: the weight {name} is of type {state[name].dtype}, not a floating-point one.")
    return {name: state[name] for name in expected}


def read_tokenizer(folder: Path, vocabulary: int, own: bool = False) -> Any:
    """Return the fast tokenizer of a folder.

    Args:
        folder: the model's folder.
        vocabulary: how many rows the word embeddings have.
        own: whether adapterxfer itself wrote the folder, so that its layout is known.

    Raises:
        UserError: when it is missing or damaged, or has more entries than the embeddings have rows.
    """
    if not (folder / "tokenizer.json").is_file():
        raise UserError(f"{folder} holds no tokenizer.json: save the model's fast tokenizer beside its weights.")
    from transformers import AutoTokenizer, XLMRobertaTokenizerFast

    try:
        if own:  # half the time of AutoTokenizer, which parses the file a second time
            options = read_json(folder / "tokenizer_config.json")
            tokenizer = XLMRobertaTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **options)
        else:
            # Without the last option transformers 4.57.6 takes any local tokenizer for a broken Mistral one, and warns.
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, fix_mistral_regex=False)
    except Exception as error:  # tokenizers raises bare Exception for a malformed file
        raise UserError(f"{folder}: the tokenizer could not be read: {_line(error)}.") from None
    if not tokenizer.is_fast or tokenizer.pad_token_id is None:
        raise UserError(f"{folder}: the tokenizer must be a fast one with a padding token.")
    if len(tokenizer) > vocabulary:
        raise UserError(f"{folder}: the tokenizer has {len(tokenizer)} entries, the embeddings only {vocabulary} rows.")
    return tokenizer


def digest_of(state: Mapping[str, "Tensor"], config: Any) -> str:
    """Return the SHA-256 that names a backbone: over each weight's name, shape, type and bytes, and the architecture.

    It does not depend on the file format, on heads saved beside the encoder, or on the precision it is loaded at.
    """

    def one(name: str) -> list[Any]:
        import torch

        tensor = state[name].contiguous()
        content: Any = tensor.view(torch.uint8).numpy()
        kind = str(tensor.dtype).removeprefix("torch.")
        return [name, list(tensor.shape), kind, hashlib.sha256(content).hexdigest()]

    with ThreadPoolExecutor() as pool:  # hashlib lets go of the interpreter's lock
        weights = list(pool.map(one, sorted(state)))
    architecture = {key: getattr(config, key) for key in (*_SIZES, "hidden_act", "layer_norm_eps", "pad_token_id")}
    return sha256_json({"architecture": architecture, "weights": weights})


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
