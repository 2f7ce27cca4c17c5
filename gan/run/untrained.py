"""Remove the folder of a command that fails before its first training step. Folders that held something are kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gan.common import signals
from gan.run import checkpoints, run_folder
from gan.run.lock import is_lost, release

SWEEP = "sweep.yaml"  # the record of a sweep, in the folder that contains the folders of its jobs
HYDRAS_RECORD = "multirun.yaml"  # written beside it by Hydra
_new: list[Path] = []  # folders that this process has created or found empty, and has not trained into
_found: set[Path] = set()  # those that it has found; they become empty again


def make(folder: Path, exist_ok: bool = True) -> None:
    """Create a folder and its parents, and remember those that are new.

    Raises:
        OSError: the folder cannot be created, or exists although `exist_ok` is not set.
    """
    folder = folder.absolute()
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=exist_ok)
    _new.extend(reversed(missing))
    if not missing and not any(folder.iterdir()):
        _new.append(folder)
        _found.add(folder)


def job_folder(folder: Path) -> None:
    """Remember the folder of a job, which Hydra has just created in the folder of a sweep, if it is empty."""
    if not any(folder.iterdir()):
        _new.append(folder.absolute())


def trained() -> None:
    """Keep all folders, because a training step has been completed."""
    _new.clear()


@contextmanager
def removed_unless_trained() -> Iterator[None]:
    """Remove the folders at an exception before the first training step, also at Ctrl-C."""
    signals.before_end = remove
    try:
        yield
    except BaseException:
        remove()
        raise
    finally:
        _new.clear()
        _found.clear()


def remove() -> None:
    """Release the lock, and remove the remembered folders that hold no checkpoint and no other process trains into."""
    taken_over = {folder for folder in _new if is_lost(folder)}
    release()
    for folder in reversed(_new):
        locked = folder in taken_over or (folder / run_folder.LOCK).exists()
        in_use = locked or checkpoints.list_checkpoints(folder)
        with suppress(OSError):
            if (folder / run_folder.CONFIG).exists() and not in_use:
                empty(folder)
            for name in (SWEEP, HYDRAS_RECORD):
                (folder / name).unlink(missing_ok=True)
            if folder not in _found:
                folder.rmdir()  # fails if another command has written to it
    _new.clear()


def empty(run: Path) -> None:
    """Remove all files of a run."""
    for path in run.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
