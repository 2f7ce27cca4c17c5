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
        return load(Path(path), map_location or "cpu")

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)
        runs.sidecar(Path(path)).unlink(missing_ok=True)


def elapsed(checkpoint: dict[str, Any]) -> float | None:
    """Seconds of training, where the run's length is given in minutes."""
    timers = (state for name, state in checkpoint.get("callbacks", {}).items() if name.startswith("Timer"))
    return next((state["time_elapsed"]["train"] for state in timers), None)


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
