"""From a name to a module on disk: a run folder, a folder written by `adapters` or `peft`, or `hub:owner/name`."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adapterxfer.errors import RunError, UserError
from adapterxfer.files import read_json, sha256_file

MODULE_FOLDER = "module"
COMPOSED = "compose.json"  # what `compose` writes beside a module: its parents, and what these had seen
_WEIGHT_FILES = {
    "bottleneck": "adapter.safetensors",
    "prefix": "adapter.safetensors",
    "lora": "adapter_model.safetensors",
    "ia3": "adapter_model.safetensors",
}
_PEFT_KINDS = {"LORA": "lora", "IA3": "ia3"}


@dataclass(frozen=True)
class ModuleSource:
    """A trained module on disk, in its library's own format, or one made by a Merge.

    `kind` is bottleneck, prefix, lora or ia3; `config` the library's configuration as saved; `trained_on` the tasks its
    weights have seen, oldest first; `protected` the tasks whose examples that training left out; `backbone_digest` of
    the backbone it was trained on. The last two are None where the folder does not say. `merged` are the tensors of a
    module that was made by a Merge, `folder` then only says how; `digest_of_merge` is of what it was made from.
    """

    folder: Path
    kind: str
    name: str
    config: dict[str, Any]
    trained_on: tuple[str, ...] = ()
    protected: tuple[str, ...] | None = None
    backbone_digest: str | None = None
    merged: dict[str, Any] | None = field(default=None, repr=False, compare=False)
    digest_of_merge: str = ""

    @property
    def weights(self) -> Path:
        """The safetensors file of the module."""
        return self.folder / _WEIGHT_FILES[self.kind]

    def tensors(self) -> dict[str, Any]:
        """Return the tensors of the module by the names of its file."""
        from adapterxfer.modules.storage import read_tensors

        return self.merged if self.merged is not None else read_tensors(self.weights)

    def digest(self) -> str:
        """Return the digest of the weights."""
        return self.digest_of_merge or sha256_file(self.weights)

    @property
    def form(self) -> str:
        """Which of `nesting.FORMS` it is."""
        if self.kind == "lora":
            return "dora" if self.config.get("use_dora") else "lora"
        if self.kind != "bottleneck":
            return self.kind
        if self.config.get("phm_layer"):
            return "compacter"
        if self.config.get("inv_adapter"):
            return "invertible"
        if self.config.get("is_parallel"):
            return "parallel"
        return "houlsby" if self.config.get("mh_adapter") else "pfeiffer"

    @property
    def locations(self) -> tuple[Any, ...]:
        """Where in the layers it stands: modules can be fused only where these are equal."""
        if self.kind == "lora":
            return tuple(sorted({name.partition(".lora_")[0] for name in self.names()}))
        keys = ("mh_adapter", "output_adapter", "is_parallel")
        return (*(bool(self.config.get(key)) for key in keys), tuple(self.config.get("leave_out") or ()))

    def names(self) -> list[str]:
        """Return the names of the tensors, without reading them."""
        from adapterxfer.modules.storage import tensor_names

        return list(self.merged) if self.merged is not None else tensor_names(self.weights)


def resolve(where: str) -> ModuleSource:
    """Find the module that `where` names.

    Raises:
        UserError: when there is none, the run is unfinished, or the folder is not one module.
        RunError: when a Hub name cannot be downloaded.
    """
    folder = _download(where[4:]) if where.startswith("hub:") else Path(where).expanduser()
    if not folder.is_dir():
        if folder.with_name(folder.name + ".partial").is_dir():
            raise UserError(f"{where} is an unfinished run; finish it with --resume first.")
        raise UserError(f"no module {where!r}: it is neither a folder nor a hub:owner/name.")
    if (folder / "run.json").is_file():
        return _from_run(folder)
    return _with_lineage(read_module_folder(folder, folder.name))


def _with_lineage(source: ModuleSource) -> ModuleSource:
    """Add what a folder that `compose` wrote says of its parents."""
    if not (source.folder / COMPOSED).is_file():
        return source
    record = read_json(source.folder / COMPOSED)
    try:
        protected = record["protected"]
        return replace(
            source,
            name=str(record["name"]),
            trained_on=tuple(record["trained_on"]),
            protected=None if protected is None else tuple(protected),
            backbone_digest=record["backbone_digest"],
        )
    except (KeyError, TypeError) as error:
        raise UserError(f"{source.folder / COMPOSED} is not the record of a composition: {error} is missing.") from None


def _from_run(folder: Path) -> ModuleSource:
    run = read_json(folder / "run.json")
    try:
        parts = run["composition"]["parts"]
        trained_on, protected = tuple(run["trained_on"]), tuple(run["protected"])
        name, digest = str(run["name"]), str(run["backbone"]["digest"])
    except (KeyError, TypeError) as error:
        raise UserError(f"{folder / 'run.json'} is not the record of a run: {error} is missing.") from None
    if len(parts) != 1 or not (folder / MODULE_FOLDER).is_dir():
        pieces = ", ".join(str(folder / part["folder"]) for part in parts.values())
        raise UserError(
            f"{folder} was trained as {run['composition']['expression']}, which is not one module; "
            f"compose its parts instead: {pieces}."
        )
    return replace(
        read_module_folder(folder / MODULE_FOLDER, name),
        trained_on=trained_on,
        protected=protected,
        backbone_digest=digest,
    )


def read_module_folder(folder: Path, name: str) -> ModuleSource:
    """Read what a folder saved by `adapters` or `peft` holds.

    Raises:
        UserError: when it is neither, holds no safetensors weights, or is a kind of module that is not composed here.
    """
    if not (folder / "adapter_config.json").is_file():
        raise UserError(f"{folder} holds no module: there is no adapter_config.json and no run.json in it.")
    config = read_json(folder / "adapter_config.json")
    if not isinstance(config, dict):
        raise UserError(f"{folder / 'adapter_config.json'} is not the configuration of a module.")
    if "peft_type" in config:
        if config["peft_type"] not in _PEFT_KINDS:
            kinds = " and ".join(_PEFT_KINDS)
            raise UserError(f"{folder} is a peft module of type {config['peft_type']}; {kinds} are composed here.")
        kind, library_config = _PEFT_KINDS[config["peft_type"]], config
    elif isinstance(config.get("config"), dict) and "reduction_factor" in config["config"]:
        kind, library_config = "bottleneck", config["config"]
    elif isinstance(config.get("config"), dict) and config["config"].get("architecture") == "prefix_tuning":
        kind, library_config = "prefix", config["config"]
    else:
        raise UserError(f"{folder} is neither a module saved by adapters (bottleneck, prefix) nor one saved by peft.")
    source = ModuleSource(folder, kind, name, library_config)
    if not source.weights.is_file():
        raise UserError(f"{folder} has no {source.weights.name}; save the module as safetensors.")
    return source


def lineage(sources: Sequence[ModuleSource]) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """Return what a composition of these modules has seen, and what all of their trainings left out.

    The second is None where that is unknown of one of them.
    """
    trained_on = tuple(dict.fromkeys(task for source in sources for task in source.trained_on))
    protected = [source.protected for source in sources if source.trained_on]
    if not protected or None in protected:
        return trained_on, None
    return trained_on, tuple(name for name in protected[0] or () if all(name in (other or ()) for other in protected))


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repository, _, revision = name.partition("@")
    try:
        folder = snapshot_download(
            repository, revision=revision or None, allow_patterns=["*.json", "*.safetensors", "*.jsonl", "*.md"]
        )
    except HFValidationError as error:
        raise UserError(f"hub:{name} is not a Hub name: {str(error).splitlines()[0]}") from None
    except (LocalEntryNotFoundError, ConnectionError) as error:
        raise RunError(
            f"hub:{name} is not in the local cache and the Hub cannot be reached; "
            "download it on a connected machine and name its folder."
        ) from error
    except HfHubHTTPError as error:
        raise UserError(f"hub:{name} could not be downloaded: {str(error).splitlines()[0]}") from None
    return Path(folder)
