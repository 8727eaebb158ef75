"""Checkpoints: everything a run needs to go on bit for bit, in one safetensors file replaced in one step."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from adapterxfer.errors import RunError, UserError
from adapterxfer.files import writing
from adapterxfer.training.selection import Selection

_FILE = "checkpoint.safetensors"


@dataclass
class State:
    """What moves during training: named parameters and their optimiser, updates done, the loss scale (fp16).

    `selection` is the best look at the development set so far, where looks are taken. `token_budget` bounds a forward
    pass (0: not known yet): a resumed run cuts its batches alike. `losses` and `first` are what `Health` has seen.
    """

    parameters: dict[str, torch.nn.Parameter]
    optimizer: torch.optim.AdamW
    scaler: Any
    selection: Selection | None = None
    step: int = 0
    seconds: float = 0.0
    token_budget: int = 0
    losses: list[float] = field(default_factory=list)
    first: float = 0.0


def write_checkpoint(folder: Path, state: State, identity: str) -> None:
    """Write the state of a run whose recipe and data have the digest `identity`.

    Raises:
        RunError: when the disk refuses; the previous checkpoint stays.
    """
    tensors = {f"parameter/{name}": parameter.detach().cpu() for name, parameter in state.parameters.items()}
    for name, parameter in state.parameters.items():
        for key, value in state.optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer/{name}/{key}"] = value.detach().cpu()
    if state.selection is not None:
        tensors |= {f"best/{name}": value.cpu() for name, value in state.selection.kept.items()}
    record = {
        "identity": identity,
        "step": state.step,
        "seconds": state.seconds,
        "token_budget": state.token_budget,
        "losses": state.losses,
        "first": state.first,
        "threads": torch.get_num_threads(),
        "scaler": state.scaler.state_dict(),
        "selection": state.selection.record() if state.selection is not None else None,
    }
    path = folder / _FILE
    try:
        with writing(path) as temporary:
            save_file(
                {key: value.contiguous() for key, value in tensors.items()}, temporary, {"record": json.dumps(record)}
            )
    except SafetensorError as error:
        raise RunError(f"{path} could not be written: {error}.") from error


def read_checkpoint(folder: Path, state: State, identity: str) -> bool:
    """Put the newest checkpoint of `folder` into `state`; return False where there is none.

    The thread count of the interrupted run is restored with it: sums are split by thread, so the bits depend on it.

    Raises:
        UserError: when the checkpoint belongs to another recipe or data, or is damaged.
    """
    path = folder / _FILE
    if not path.is_file():
        return False
    try:
        with safe_open(path, "pt") as stream:
            record = json.loads(stream.metadata()["record"])
            if record["identity"] != identity:
                raise UserError(f"{path} was made with other options or data; repeat the run's own, or start anew.")
            tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise UserError(f"{path} is damaged ({error}); remove its folder to start the run anew.") from None
    for name, parameter in state.parameters.items():
        parameter.data.copy_(tensors.pop(f"parameter/{name}"))
    if state.selection is not None and record["selection"] is not None:
        best = {key.removeprefix("best/"): tensors.pop(key) for key in list(tensors) if key.startswith("best/")}
        state.selection.kept = {name: value.to(state.parameters[name].device) for name, value in best.items()}
        for key, value in record["selection"].items():
            setattr(state.selection, key, value)
    for key, value in tensors.items():
        name, _, slot = key.removeprefix("optimizer/").rpartition("/")
        parameter = state.parameters[name]
        state.optimizer.state[parameter][slot] = value if slot == "step" else value.to(parameter.device)
    state.step, state.seconds = int(record["step"]), float(record["seconds"])
    state.token_budget, state.losses, state.first = record["token_budget"], record["losses"], record["first"]
    state.scaler.load_state_dict(record["scaler"])
    torch.set_num_threads(int(record["threads"]))
    return True
