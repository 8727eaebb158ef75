"""Finds a model's folder: a local one, the Hub's cache, or a download."""

import re
from pathlib import Path

from adapterxfer.backbone.weights import INDEX, weight_files
from adapterxfer.errors import RunError, UserError

KNOWN = {
    "xlm-roberta-base": "FacebookAI/xlm-roberta-base",
    "xlm-roberta-large": "FacebookAI/xlm-roberta-large",
}
_WANTED = (
    "config.json",
    "model.safetensors",
    "model-*.safetensors",
    INDEX,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
_SECONDS = 10.0  # how long an unreachable Hub may hold us up
_REPOSITORY = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)


def model_folder(name: str) -> Path:
    """Return the folder that holds a model's config, safetensors and tokenizer.

    Args:
        name: a folder, one of `KNOWN`, or a name on the Hub.

    Raises:
        UserError: when it is neither, or the Hub has no such model, or only weights in another format.
        RunError: when it is not in the cache and the Hub cannot be reached.
    """
    path = Path(name).expanduser()
    if name and path.is_dir():
        return path
    repository = KNOWN.get(name, name)
    if path.is_file() or not _REPOSITORY.fullmatch(repository):
        known = ", ".join(("mini", *KNOWN))
        raise UserError(f"backbone {name!r} is neither a folder nor a model's name; known names are {known}.")
    return _cached(repository) or _download(name, repository)


def _cached(repository: str) -> Path | None:
    """Return the snapshot in the Hub's cache if all we need is there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repository, local_files_only=True))
        weight_files(folder)
    except (LocalEntryNotFoundError, HFValidationError, UserError):
        return None
    return folder if all((folder / file).is_file() for file in ("config.json", "tokenizer.json")) else None


def _download(name: str, repository: str) -> Path:
    import requests
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    unreachable = RunError(
        f"the backbone {name} is not in the cache {constants.HF_HUB_CACHE} and the Hub cannot be reached: use "
        f"`--backbone mini`, or download {repository} on a connected machine and pass its folder or set HF_HOME."
    )
    try:
        information = HfApi().model_info(repository, timeout=_SECONDS)
        files = {sibling.rfilename for sibling in information.siblings or ()}
        for needed in ("config.json", "tokenizer.json"):
            if needed not in files:
                raise UserError(f"the model {repository} has no {needed} on the Hub, so it cannot be a backbone.")
        if not files & {"model.safetensors", INDEX}:
            raise UserError(f"the model {repository} has no safetensors weights on the Hub; no other format is read.")
        return Path(snapshot_download(repository, revision=information.sha, allow_patterns=list(_WANTED)))
    except (GatedRepoError, RepositoryNotFoundError, HFValidationError):
        known = ", ".join(("mini", *KNOWN))
        raise UserError(
            f"backbone {name!r} is neither a folder nor a model the Hub shows you; known names are {known}."
        ) from None
    except (OfflineModeIsEnabled, requests.ConnectionError, requests.Timeout):
        raise unreachable from None
    except (HfHubHTTPError, requests.RequestException) as error:
        reason = " ".join(str(error).split("\n")[0].split()).rstrip(".:")
        raise RunError(f"the backbone {name} could not be downloaded: {reason}.") from None
    except OSError as error:
        raise RunError(f"the backbone {name} could not be stored in {constants.HF_HUB_CACHE}: {error}.") from None
