"""How a checkpoint reaches the disk and comes back: whole or not at all, and never with code in it."""

from __future__ import annotations

import hashlib
import io
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO

from gan import runs
from gan.errors import UserError

RESUMED = {  # what training takes from a checkpoint
    "state_dict": dict,
    "optimizer_states": list,
    "callbacks": dict,
    "loops": dict,
    "pending": dict,
    "global_step": int,
    "epoch": int,
    "pytorch-lightning_version": str,
}


class AtomicCheckpointIO(CheckpointIO):
    """Write beside the target, fsync, replace; SHA-256 in a file beside it, which is written first.

    Lightning's own way makes its temporary file in another file system, where the last move is a copy that can tear the
    file it replaces. A full disk is said, and training goes on with the checkpoints there are.
    """

    def __init__(self) -> None:
        self.failure: str | None = None  # why the last save failed, if it did

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        buffer = io.BytesIO()  # torch's writer turns a full disk into an error about its own position
        torch.save(checkpoint, buffer)
        data = buffer.getbuffer()
        record = {
            "sha256": hashlib.sha256(data).hexdigest(),
            "bytes": len(data),
            "images": checkpoint.get("images"),
            "batches": checkpoint.get("global_step"),
            "seconds": elapsed(checkpoint),
            "best": best_of(checkpoint),
        }
        target, beside = Path(path), runs.sidecar(Path(path))
        before = beside.read_bytes() if beside.exists() else None
        self.failure = None
        try:
            runs.write_json(beside, record)
            runs.write_atomically(target, lambda file: file.write(data))
        except OSError as error:
            if before is not None:  # the file that is there already goes on being a good one
                beside.write_bytes(before)
            self.failure = f"{target}: not saved ({error.strerror}); earlier checkpoints are untouched"
            print(self.failure, flush=True)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return resumable(load(Path(path), map_location or "cpu"), Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        runs.remove(Path(path))


def resumable(checkpoint: dict[str, Any], path: Path) -> dict[str, Any]:
    """The checkpoint; UserError where parts of it are missing, or weights are not finite."""
    for name, kind in RESUMED.items():
        if not isinstance(checkpoint.get(name), kind):
            raise UserError(f"{path}: training cannot resume from it: it has no {name} of type {kind.__name__}")
    for name, value in checkpoint["state_dict"].items():
        if not (torch.is_tensor(value) and value.isfinite().all()):
            raise UserError(f"{path}: training cannot resume from it: {name} is not finite")
    return checkpoint


def elapsed(checkpoint: dict[str, Any]) -> float | None:
    """Seconds of training, where the run's length is given in minutes."""
    timers = (state for name, state in checkpoint.get("callbacks", {}).items() if name.startswith("Timer"))
    return next((state["time_elapsed"]["train"] for state in timers), None)


def best_of(checkpoint: dict[str, Any]) -> dict[str, Any] | None:
    """The best checkpoint so far, where the run has an evaluation."""
    states = (state for state in checkpoint.get("callbacks", {}).values() if runs.BEST_STATE in state)
    return next((state[runs.BEST_STATE] for state in states), None)


def load(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint of tensors and plain containers.

    Raises:
        UserError: there is no such file, it is torn, it is no checkpoint of this program, or it holds code.
    """
    if runs.sidecar(path).exists() and (reason := runs.damage(path)):
        raise UserError(f"{path}: damaged, {reason}")
    try:
        with warnings.catch_warnings(action="ignore"):  # of pickles that it will refuse in a moment
            checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such checkpoint") from error
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: refused, not the tensors and plain containers of a checkpoint of this program; "
            "anything else could run code"
        ) from error
    except Exception as error:  # torn zip files end in a dozen kinds of error
        raise UserError(f"{path}: not a checkpoint, or torn ({type(error).__name__})") from error
    if not isinstance(checkpoint, dict) or not {"state_dict", "config", "images"} <= checkpoint.keys():
        raise UserError(f"{path}: not a checkpoint of this program")
    return checkpoint
