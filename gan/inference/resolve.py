"""Resolve what a command or `gan.load` is given as a model: a run folder or a checkpoint file."""

from __future__ import annotations

import os
from pathlib import Path

from gan.common.errors import UserError
from gan.run import checkpoints, run_folder


def is_model(path: Path) -> bool:
    """Return whether a path names a model, and not a folder of images."""
    return path.suffix == ".ckpt" or folder_of(path) is not None


def folder_of(path: Path) -> Path | None:
    """Return the run folder to which results about a model are written, or None for a checkpoint file."""
    return path if (path / run_folder.CONFIG).is_file() else None


def checkpoint_of(model: str | os.PathLike[str], checkpoint: str = "best") -> Path:
    """Return the checkpoint file of a model.

    Args:
        checkpoint: "best" (the last if the run was never evaluated), "last" or the path of a file. It is ignored if the
            model is a checkpoint file.

    Raises:
        UserError: there is no such run or checkpoint, or all checkpoints are damaged.
    """
    return checkpoints.find_checkpoint(model, checkpoint)


def path_in(folder: Path, path: Path) -> Path:
    """Return a path in a run folder.

    Raises:
        UserError: a link in it, which may come from a stranger, leads out of the folder.
    """
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise UserError(f"{path}: a link leads out of {folder}; nothing is written there")
    return path
