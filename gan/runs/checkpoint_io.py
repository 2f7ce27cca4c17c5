"""The plugin with which Lightning writes checkpoints atomically, and reads them by `gan.runs.checkpoint_file`."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO

from gan.runs import checkpoints
from gan.runs.checkpoint_file import load
from gan.utils.errors import UserError, reason
from gan.utils.files import write_bytes, write_json
from gan.utils.output import print_line

# Parts of a checkpoint that training needs.
RESUMED = ("optimizer_states", "callbacks", "loops", "pending", "division", "global_step", "epoch")


def nothing() -> None:
    """Do nothing."""


class AtomicCheckpointIO(CheckpointIO):
    """Writes the sidecar with the SHA-256, then the checkpoint; each file atomically.

    Lightning writes its temporary file to another file system, and the final move can leave an incomplete file. If the
    disk is full, this class prints a line and keeps the existing checkpoints.

    Args:
        background: write in a thread. Training waits only while a checkpoint is copied to memory, and until the
            previous one is written.
        after: called after each checkpoint, in the thread if there is one.
    """

    def __init__(self, background: bool = False, after: Callable[[], None] = nothing) -> None:
        self.failure: str | None = None  # why the last save failed
        self.after = after
        self.thread = ThreadPoolExecutor(1, "checkpoints") if background else None
        self.writing: Future[None] | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Save a checkpoint, then call `storage_options` if it is a function, also if the disk was full."""
        arguments = Path(path), *serialize(checkpoint), storage_options or nothing
        self.wait()
        if self.thread is None:
            self.write(*arguments)
        else:
            self.writing = self.thread.submit(self.write, *arguments)

    def write(self, target: Path, content: io.BytesIO, record: dict[str, Any], then: Callable[[], None]) -> None:
        """Write a checkpoint and its sidecar, or set `failure`; then call `then` and `after`.

        A run folder that was removed is not made again; `gan.runs.lock` ends the run.
        """
        if not target.parent.parent.exists():
            return
        digest = hashlib.sha256(content.getbuffer()).hexdigest()
        record = {"sha256": digest, "bytes": content.getbuffer().nbytes, **record}
        sidecar = checkpoints.sidecar(target)
        before = sidecar.read_bytes() if sidecar.exists() else None
        self.failure = None
        try:
            write_json(sidecar, record)
            write_bytes(target, content.getbuffer())
        except OSError as error:
            if before is not None:  # the existing checkpoint stays valid
                sidecar.write_bytes(before)
            elif not target.exists():
                sidecar.unlink(missing_ok=True)
            self.failure = f"{target}: not saved ({reason(error)}); earlier checkpoints are unchanged"
            print_line(self.failure)
        then()
        self.after()

    def wait(self) -> None:
        """Wait until the last checkpoint is written; raise what its thread has raised."""
        writing, self.writing = self.writing, None
        if writing is not None:
            writing.result()

    def close(self) -> None:
        try:
            self.wait()
        finally:
            if self.thread is not None:
                self.thread.shutdown()

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return check_resumable(load(Path(path), map_location or "cpu"), Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        checkpoints.remove(Path(path))


def serialize(checkpoint: dict[str, Any]) -> tuple[io.BytesIO, dict[str, Any]]:
    """Return the bytes of a checkpoint, and its sidecar without checksum."""
    buffer = io.BytesIO()  # in memory: on a full disk torch's writer raises a misleading error
    torch.save(checkpoint, buffer)
    return buffer, {
        "images": checkpoint.get("images"),
        "batches": checkpoint.get("global_step"),
        "seconds": elapsed(checkpoint),
        "best": best_so_far(checkpoint),
    }


def check_resumable(checkpoint: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the checkpoint; raise UserError if it lacks a part that training needs, or if a weight is not finite."""
    if missing := [name for name in RESUMED if name not in checkpoint]:
        raise UserError(f"{path}: training cannot resume: the checkpoint has no {missing[0]}")
    for name, value in checkpoint["state_dict"].items():
        if not (torch.is_tensor(value) and value.isfinite().all()):
            raise UserError(f"{path}: training cannot resume: {name} is not finite")
    return checkpoint


def elapsed(checkpoint: dict[str, Any]) -> float | None:
    clocks = (state for name, state in checkpoint.get("callbacks", {}).items() if name.startswith("TrainingTime"))
    return next((state["seconds"] for state in clocks), None)


def best_so_far(checkpoint: dict[str, Any]) -> dict[str, Any] | None:
    states = (state for state in checkpoint.get("callbacks", {}).values() if checkpoints.BEST_STATE in state)
    return next((state[checkpoints.BEST_STATE] for state in states), None)
