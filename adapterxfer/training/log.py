"""log.jsonl: what a training wrote down of itself on the way."""

import json
from pathlib import Path
from typing import Any

from adapterxfer.errors import RunError

_LINES = 200


class Log:
    """A line every few updates; lines past the checkpoint a run resumes from are dropped."""

    def __init__(self, path: Path, step: int, total: int) -> None:
        kept = []
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    if json.loads(line)["step"] <= step:
                        kept.append(line)
                except (json.JSONDecodeError, KeyError):
                    continue  # a line cut off by a kill
        self.path, self.every = path, max(1, total // _LINES)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Write the values of an update, if it is one of those that are written down.

        Raises:
            RunError: when the disk refuses.
        """
        if step == 1 or step % self.every == 0 or "dev_score" in values:
            try:
                with self.path.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps({"step": step, **values}) + "\n")
            except OSError as error:
                raise RunError(f"{self.path} could not be written: {error.strerror or error}.") from error
