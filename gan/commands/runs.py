"""List runs: model, data, images, best score, size, date and status. --remove deletes run folders."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gan.runs import checkpoints, lock, run_folder
from gan.runs.metrics import best_score, goal, status, target
from gan.runs.run_folder import find_runs, is_run, jobs_of
from gan.utils.errors import UserError, writing
from gan.utils.output import counted, one_line, print_aligned

COLUMNS = ("run", "model", "data", "images", "best score", "MB", "date", "status")
NUMBERS = ("images", "best score", "MB", "date")
DEFAULT = Path("runs")


class Listed(NamedTuple):
    """A run folder as the table shows it."""

    folder: Path
    model: str
    data: str
    images: str
    score: str
    bytes: int
    time: float  # of the last change, seconds since the epoch
    status: str

    @property
    def cells(self) -> list[str]:
        """The cells of the row in the order of COLUMNS."""
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.time))
        texts = (str(self.folder), self.model, self.data, self.images, self.score, f"{self.bytes / 1e6:,.0f}", day)
        return [one_line(text) for text in (*texts, self.status)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT, metavar="FOLDER", help="folder with run "
                        "folders; those of sweeps are found, too (default: %(default)s)")  # fmt: skip
    parser.add_argument("--remove", nargs="+", type=Path, default=[], metavar="RUN", help="delete these run folders "
                        "or folders of sweeps, with their checkpoints and all other files")  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="do not ask before --remove")


def run(arguments: argparse.Namespace) -> None:
    if arguments.remove:
        remove(arguments.remove, arguments.yes)
        return
    if not arguments.folder.is_dir() and arguments.folder != DEFAULT:
        raise UserError(f"{arguments.folder}: no such folder; give the folder that contains run folders")
    runs = find_runs(arguments.folder) if arguments.folder.is_dir() else []
    found = sorted(map(describe, runs), key=lambda each: each.time)
    if not found:
        print(f"{arguments.folder}: no runs yet; train one with gan train data.root=FOLDER")
        return
    print_aligned(COLUMNS, [each.cells for each in found], NUMBERS)
    print(f"{counted(len(found), 'run')}, {sum(each.bytes for each in found) / 1e6:,.0f} MB")


def describe(folder: Path) -> Listed:
    """Return the row of a run folder. One whose files cannot be read, or have impossible values, is "damaged"."""
    try:
        return read(folder)
    except (UserError, AttributeError, LookupError, TypeError, ArithmeticError, ValueError, OSError, RecursionError):
        return Listed(folder, "?", "?", "?", "?", size_of(folder), changed(folder), "damaged")


def read(folder: Path) -> Listed:
    """Return the row of an undamaged run folder."""
    config = run_folder.read_config(folder)
    choices = run_folder.read_choices(folder)
    model = str(choices.get("model") or target(config, "model", "generator"))
    data = config.get("data")
    root = str(data.get("root") or "") if isinstance(data, dict) else ""
    name = Path(root).name or str(choices.get("data") or "retro")
    newest = next(iter(reversed(checkpoints.list_checkpoints(folder))), None)
    seen, seconds = 0, 0.0
    if newest is not None:
        seen = checkpoints.images_of(newest)
        with suppress(OSError, ValueError):
            seconds = checkpoints.read_sidecar(newest).get("seconds") or 0.0
    return Listed(
        folder, model, name, f"{seen:,}{goal(config)}", best_score(folder), size_of(folder), changed(folder),
        status(folder, config, newest is not None, seen, seconds),
    )  # fmt: skip


def size_of(folder: Path) -> int:
    """Return the size of the files in a folder in bytes, without following links."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_size
    return total


def changed(folder: Path) -> float:
    """Return when training last wrote to a run folder, in seconds since the epoch."""
    names = (run_folder.CONFIG, run_folder.METRICS, run_folder.CHECKPOINTS)
    return max((os.path.getmtime(path) for name in names if os.path.exists(path := folder / name)), default=0.0)


def remove(given: list[Path], sure: bool) -> None:
    """Delete run folders and folders of sweeps, after a question on the terminal if `sure` is False.

    Raises:
        UserError: one of them is neither, is a link, is in use or is inside another one; then none is deleted.
    """
    for path in given:
        check_removable(path)
    folders = list(dict.fromkeys(path.resolve() for path in given))
    for folder in folders:
        if inside := [other for other in folders if folder in other.parents]:
            raise UserError(one_line(f"--remove: {inside[0]} is inside {folder}; give only one of them"))
    runs = {folder: runs_in(folder) for folder in folders}
    for folder in folders:
        count = sum(len(names) for *_, names in os.walk(folder))
        print(one_line(f"{shown(folder)}: {size_of(folder) / 1e6:,.0f} MB in {count:,} files"))
        for run in runs[folder]:
            if run != folder:
                print(one_line(f"  with the run {shown(run)}"))
    if not sure:
        if not sys.stdin.isatty():
            raise UserError("--remove: no terminal to ask on; add --yes to delete these folders")
        number = sum(map(len, runs.values()))
        if input(f"delete {counted(number, 'run folder')} with all files? [y/N] ").strip().lower() not in ("y", "yes"):
            print("nothing is deleted")
            return
    for folder in folders:
        check_removable(folder)  # training may have begun while the question was open
        if runs_in(folder) != runs[folder]:
            raise UserError(one_line(f"--remove {shown(folder)}: its runs have changed meanwhile; try again"))
        with writing(folder):
            aside = Path(tempfile.mkdtemp(prefix=".removed-", dir=folder.parent))
            os.replace(folder, aside / "run")  # at once, so that no half of a run is left under its name
            shutil.rmtree(aside)
        print(one_line(f"{shown(folder)}: deleted"))


def runs_in(folder: Path) -> list[Path]:
    """Return the run folders that are a folder or are anywhere in it, without following links."""
    found = (Path(path) for path, _, names in os.walk(folder) if run_folder.CONFIG in names)
    return sorted(path for path in found if is_run(path))


def shown(folder: Path) -> str:
    """Return a folder relative to the current one if it is inside."""
    return str(folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder)


def check_removable(folder: Path) -> None:
    """Raise UserError if a path is neither a run folder nor the folder of a sweep, or may not be deleted."""
    name = one_line(f"--remove {folder}")
    if not folder.is_dir():
        raise UserError(f"{name}: no such folder")
    if folder.is_symlink():
        raise UserError(f"{name}: is a link; give the folder itself")
    if not is_run(folder) and not is_sweep(folder):
        raise UserError(f"{name}: is not a run folder, so it is not deleted")
    if held := [run for run in runs_in(folder) if lock.is_held(run)]:
        raise UserError(one_line(f"{name}: a process is training in {shown(held[0].resolve())}; stop it first"))
    if not is_run(folder) and (other := foreign(folder)):
        raise UserError(one_line(f"{name}: contains {other.name}, which is no run; move it, or give the runs"))


def is_sweep(folder: Path) -> bool:
    """Return whether a path is a folder that a sweep has written: with its results and at least one run."""
    return (folder / run_folder.RESULTS).is_file() and (folder / run_folder.ROWS).is_dir() and bool(jobs_of(folder))


def foreign(sweep: Path) -> Path | None:
    """Return a folder in the folder of a sweep that no job has written; None if there is none."""
    inside = (path for path in sorted(sweep.iterdir()) if path.is_dir() and not path.is_symlink())
    # A job that failed early has an empty folder, or one that has its number and is no run yet.
    own = (run_folder.ROWS,)
    return next((path for path in inside if path.name not in own and not path.name.isdecimal() and not is_run(path)
                 and any(path.iterdir())), None)  # fmt: skip
