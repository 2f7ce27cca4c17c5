"""How a checkpoint reaches the disk and comes back: whole or not at all, and never with code in it."""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO

from gan.common.errors import UserError, reason
from gan.common.files import write_atomically, write_json
from gan.common.untrusted import fault
from gan.run import run_folder

KEYS = ("state_dict", "config", "images")  # without which there is nothing to draw with
MOST_MEMBERS = 60_000  # of the zip archive that a checkpoint is: one a tensor
LARGEST_LIST = 16 << 20  # bytes of its list of members
END = b"PK\x05\x06"  # of that list
MOST_CLASSES, LONGEST_CLASS = 100_000, 1000  # characters

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
        target, beside = Path(path), run_folder.sidecar(Path(path))
        before = beside.read_bytes() if beside.exists() else None
        self.failure = None
        try:
            write_json(beside, record)
            write_atomically(target, lambda file: file.write(data))
        except OSError as error:
            if before is not None:  # the file that is there already goes on being a good one
                beside.write_bytes(before)
            self.failure = f"{target}: not saved ({reason(error)}); earlier checkpoints are untouched"
            print(self.failure, flush=True)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return resumable(load(Path(path), map_location or "cpu"), Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        run_folder.remove(Path(path))


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
    states = (state for state in checkpoint.get("callbacks", {}).values() if run_folder.BEST_STATE in state)
    return next((state[run_folder.BEST_STATE] for state in states), None)


def load(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint of tensors and plain containers.

    Raises:
        UserError: there is no such file, it is torn, it is no checkpoint of this program, or it holds code.
    """
    if not path.exists():
        raise UserError(f"{path}: no such checkpoint")
    if run_folder.sidecar(path).exists() and (reason := run_folder.damage(path)):
        raise UserError(f"{path}: damaged, {reason}")
    check_archive(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # of pickles that it will refuse in a moment
            checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: refused, not the tensors and plain containers of a checkpoint of this program; "
            "anything else could run code"
        ) from error
    except Exception as error:  # torn zip files end in a dozen kinds of error
        raise UserError(f"{path}: not a checkpoint, or torn ({type(error).__name__})") from error
    check_content(checkpoint, path)
    return checkpoint


def check_archive(path: Path) -> None:
    """UserError where a file is not a zip archive as torch writes it: nothing packed, and no more than there is.

    What is packed could be a thousand times larger in memory than on the disk. Older formats of torch are pickles that
    are read before anything of them is known.
    """
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            file.seek(max(0, size - 22))
            end = file.read(22)
        if len(end) < 22 or not end.startswith(END):
            raise UserError(f"{path}: refused, torn or not a checkpoint of this program; other files could run code")
        members, length = struct.unpack("<10xHI6x", end)
        if members > MOST_MEMBERS or length > LARGEST_LIST:
            raise UserError(f"{path}: refused, an archive of more members than a checkpoint has")
        with zipfile.ZipFile(path) as archive:
            found = archive.infolist()
    except UserError:
        raise
    except Exception as error:  # torn zip files end in a dozen kinds of error
        raise UserError(f"{path}: not a checkpoint, or torn ({type(error).__name__})") from error
    if any(member.compress_type != zipfile.ZIP_STORED for member in found) or sum(m.file_size for m in found) > size:
        raise UserError(f"{path}: refused, it is packed, and torch writes checkpoints as they are")


def check_content(checkpoint: Any, path: Path) -> None:
    """UserError where a checkpoint's parts are not what this program writes."""
    if not isinstance(checkpoint, dict):
        raise UserError(f"{path}: not a checkpoint of this program")
    if missing := [key for key in KEYS if key not in checkpoint]:
        raise UserError(f"{path}: not a checkpoint of this program, or of another version of it: no {missing[0]} in it")
    state, config, images, classes = (*(checkpoint[key] for key in KEYS), checkpoint.get("classes", []))
    foreign = f"{path}: not a checkpoint of this program, or of another version of it"
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise UserError(f"{foreign}: its state_dict holds no tensors by name")
    if not isinstance(images, int) or isinstance(images, bool) or not 0 <= images < 2**63:
        raise UserError(f"{foreign}: it does not say after how many images it was saved")
    if not isinstance(config, dict) or (wrong := fault(config)):
        raise UserError(f"{foreign}: its configuration {wrong if isinstance(config, dict) else 'is none'}")
    if not isinstance(classes, list) or not are_classes(classes):
        raise UserError(f"{foreign}: its classes are no names")


def are_classes(names: list[Any]) -> bool:
    """Whether a list is one of names of classes, such as folders have: texts that can be printed."""
    if len(names) > MOST_CLASSES:
        return False
    return all(isinstance(name, str) and len(name) <= LONGEST_CLASS and is_text(name) for name in names)


def is_text(value: str) -> bool:
    try:
        value.encode("utf-8", "surrogateescape")  # folders' names may be of any bytes
    except UnicodeEncodeError:
        return False
    return True
