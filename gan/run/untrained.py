"""Remove the folder of a command that fails before its first training step. Folders that held something are kept."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gan.common import processes
from gan.run import checkpoints, run_folder
from gan.run.lock import is_lost, release

SWEEP = "sweep.yaml"  # the record of a sweep, in the folder that contains the folders of its jobs
HYDRAS_RECORD = "multirun.yaml"  # written beside it by Hydra
# All that a run may contain before its first checkpoint, as patterns; also what an interrupted write leaves.
WRITTEN: tuple[str, ...] = (
    run_folder.CONFIG,
    run_folder.OVERRIDES,
    run_folder.ENVIRONMENT,
    run_folder.METRICS,
    run_folder.EVALUATION,
)
WRITTEN += (
    run_folder.LOGGERS,
    run_folder.DECISION,
    run_folder.REMOTE,
    run_folder.METRICS_CSV,
    "events.out.tfevents.*",
    "hparams.yaml",
)
WRITTEN += (f"{run_folder.SAMPLES}/reals.png", f"{run_folder.SAMPLES}/{'[0-9]' * 9}*.png")
WRITTEN += ("checkpoints/images-000000000.ckpt",)  # of a translator before training
WRITTEN += ("checkpoints/images-*.json", "checkpoints/best.json", ".*.tmp", "samples/.*.tmp", "checkpoints/.*.tmp")
WRITTEN += ("wandb/run-*", "wandb/offline-run-*", "wandb/latest-run", "wandb/debug*.log", "wandb/settings")
WRITTEN_FOLDERS = (run_folder.SAMPLES, run_folder.CHECKPOINTS, "wandb")
_new: list[Path] = []  # folders that this process has created or found empty, and has not trained into
_jobs: list[Path] = []  # folders of jobs of a sweep, like _new
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


def start_job(folder: Path) -> None:
    """Remember the folder of a job, which Hydra has just created in the folder of a sweep, if it is empty.

    Remove the folder of the previous job if that failed before its first training step.
    """
    release()  # the lock of the previous job
    clear(_jobs)
    if not any(folder.iterdir()):
        _jobs.append(folder.absolute())


def trained() -> None:
    """Keep all folders, because a training step has been completed."""
    _new.clear()
    _jobs.clear()


@contextmanager
def removed_unless_trained() -> Iterator[None]:
    """Remove the folders at an exception before the first training step, also at Ctrl-C and SIGTERM."""
    processes.before_end = remove
    try:
        yield
    except BaseException:
        remove()
        raise
    finally:
        clear(_jobs)  # Hydra may go on after a job has failed
        trained()
        _found.clear()


def remove() -> None:
    """Release the lock, and remove the folders in which no training step has been completed."""
    taken_over = [folder for folder in (*_new, *_jobs) if is_lost(folder)]
    release()
    clear(_jobs, taken_over)
    clear(_new, taken_over)


def clear(folders: list[Path], taken_over: Collection[Path] = ()) -> None:
    """Remove folders, from the last to the first, unless one has a checkpoint or another process trains into it.

    The checkpoint of a translator before training does not count.
    """
    while folders:
        folder = folders.pop()
        saved = {*checkpoints.list_checkpoints(folder)} - {checkpoints.checkpoint_path(folder, 0)}
        in_use = folder in taken_over or (folder / run_folder.LOCK).exists() or saved
        with suppress(OSError):
            if any((folder / name).exists() for name in run_folder.RECORD) and not in_use:
                empty(folder)
            for name in (SWEEP, HYDRAS_RECORD, run_folder.RESULTS, *(() if in_use else (run_folder.REMOTE,))):
                (folder / name).unlink(missing_ok=True)
            if (folder / run_folder.ROWS).is_dir():
                for row in (folder / run_folder.ROWS).glob("*.json"):
                    row.unlink()
                (folder / run_folder.ROWS).rmdir()
            if folder not in _found:
                folder.rmdir()  # fails if another command has written to it


def empty(run: Path) -> None:
    """Remove the files that this program writes into a run folder. Other files, and folders with them, are kept."""
    for pattern in WRITTEN:
        for path in run.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)  # of W&B
            else:
                path.unlink()
    for name in WRITTEN_FOLDERS:
        with suppress(OSError):  # it does not exist or is not empty
            (run / name).rmdir()
