"""From a name to a module on disk: a run folder, a folder written by `adapters` or `peft`, or `hub:owner/name`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adapterxfer.errors import RunError, UserError
from adapterxfer.files import read_json

MODULE_FOLDER = "module"
_WEIGHT_FILES = {"bottleneck": "adapter.safetensors", "lora": "adapter_model.safetensors"}


@dataclass(frozen=True)
class ModuleSource:
    """A trained module on disk, in its library's own format.

    `kind` is bottleneck or lora; `config` the library's configuration as saved; `trained_on` the tasks its weights
    have seen, oldest first; `protected` the tasks whose examples that training left out; `backbone_digest` of the
    backbone it was trained on. The last two are None where the folder does not say.
    """

    folder: Path
    kind: str
    name: str
    config: dict[str, Any]
    trained_on: tuple[str, ...] = ()
    protected: tuple[str, ...] | None = None
    backbone_digest: str | None = None

    @property
    def weights(self) -> Path:
        """The safetensors file of the module."""
        return self.folder / _WEIGHT_FILES[self.kind]

    @property
    def locations(self) -> tuple[Any, ...]:
        """Where in the layers a bottleneck stands: two of them can be fused only where these are equal."""
        keys = ("mh_adapter", "output_adapter", "is_parallel")
        return (*(bool(self.config.get(key)) for key in keys), tuple(self.config.get("leave_out") or ()))


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
    return read_module_folder(folder, folder.name)


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
        if config["peft_type"] != "LORA":
            raise UserError(f"{folder} is a peft module of type {config['peft_type']}; only LORA is composed here.")
        kind, library_config = "lora", config
    elif isinstance(config.get("config"), dict) and "reduction_factor" in config["config"]:
        kind, library_config = "bottleneck", config["config"]
    else:
        raise UserError(f"{folder} is neither a bottleneck adapter saved by adapters nor a LoRA saved by peft.")
    source = ModuleSource(folder, kind, name, library_config)
    if not source.weights.is_file():
        raise UserError(f"{folder} has no {source.weights.name}; save the module as safetensors.")
    return source


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
