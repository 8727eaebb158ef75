"""Where the files of a task are: a person's --data-dir, the folder of their declaration, or the bundled sample."""

from pathlib import Path

from adapterxfer.errors import UserError
from adapterxfer.tasks.catalogue import CATALOG
from adapterxfer.tasks.schema import Split, Task

SAMPLE = Path(__file__).parent.parent / "sample"


def root_of(task: Task, data_dir: Path | None) -> Path:
    """Return the folder that the task's file patterns are relative to.

    Raises:
        UserError: when the task needs --data-dir and none is given, or the folder does not exist.
    """
    if task.bundled:
        return SAMPLE
    if data_dir is not None:
        if not Path(data_dir).is_dir():
            raise UserError(f"--data-dir {data_dir} is not a folder.")
        return Path(data_dir)
    if task.path.parent == CATALOG:
        raise UserError(f"Task {task.name} reads original files: say where they are with --data-dir.")
    return task.path.parent


def files_of(task: Task, split: str, language: str, data_dir: Path | None) -> list[Path]:
    """Return the files that hold one split and language, the one with the texts first; they need not exist.

    Raises:
        UserError: when the task has no such split or language, or no folder to look in.
    """
    place, _ = task.place_of(split, language)
    return paths_of(task, place, language, root_of(task, data_dir))


def paths_of(task: Task, split: Split, language: str, root: Path) -> list[Path]:
    """Return the files of a declared split below `root`: texts, then the other side, then the labels."""
    code = split.codes.get(language, language)
    patterns = [split.path, split.target_path, split.labels_from.path if split.labels_from else ()]
    return [_first(root, several, code) for several in patterns if several]


def _first(root: Path, patterns: tuple[str, ...], code: str) -> Path:
    paths = [root / pattern.replace("{lang}", code) for pattern in patterns]
    return next((path for path in paths if path.exists()), paths[0])


def languages_present(task: Task, split: str, data_dir: Path | None) -> list[str]:
    """Return the declared languages of a split whose files exist, in the declaration's order."""
    return [
        language
        for language in task.languages_of(split)
        if all(path.is_file() for path in files_of(task, split, language, data_dir))
    ]
