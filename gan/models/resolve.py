"""Find the file with the weights of a model, which is given as a run folder, a checkpoint file or a shared model."""

from __future__ import annotations

import os
from pathlib import Path

from gan.models import shared_model
from gan.runs import checkpoints, run_folder
from gan.utils.errors import UserError


def is_model(path: Path) -> bool:
    """Return whether a path is a model: a checkpoint file, a run folder or a shared model."""
    return path.suffix == ".ckpt" or folder_of(path) is not None or shared_model.is_shared(path)


def folder_of(path: Path) -> Path | None:
    """Return the run folder for results about a model; None if the path is not a run folder."""
    return path if (path / run_folder.CONFIG).is_file() else None


def checkpoint_of(model: str | os.PathLike[str], checkpoint: str = "best") -> Path:
    """Return the checkpoint file of a model, or the model.safetensors of a shared model.

    Args:
        checkpoint: "best" (the last one if there was no evaluation), "last" or the path of a file. It is ignored if the
            model is a checkpoint file or a shared model.

    Raises:
        UserError: the run or the checkpoint does not exist, all checkpoints are damaged, or a file of a shared model
            is missing or a link out of its folder.
    """
    if isinstance(model, str | os.PathLike) and shared_model.is_shared(Path(model)):
        return shared_model.weights_of(Path(model))
    return checkpoints.find_checkpoint(model, checkpoint)


def path_in(folder: Path, path: Path) -> Path:
    """Return a path in a run folder, after checking that it stays in the folder.

    Raises:
        UserError: a link in the path leads out of the folder. The folder may be untrusted.
    """
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise UserError(f"{path}: a link leads out of {folder}; nothing is written there")
    return path
