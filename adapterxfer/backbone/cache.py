"""Where adapterxfer keeps what it can make again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return ADAPTERXFER_CACHE, else XDG_CACHE_HOME/adapterxfer, else ~/.cache/adapterxfer; it may not exist yet."""
    own = os.environ.get("ADAPTERXFER_CACHE")
    if own:
        return Path(own).expanduser().absolute()
    shared = os.environ.get("XDG_CACHE_HOME")
    # The XDG specification says to ignore a relative path.
    base = Path(shared) if shared and Path(shared).is_absolute() else Path.home() / ".cache"
    return base / "adapterxfer"
