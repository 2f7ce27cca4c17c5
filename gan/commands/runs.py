"""List runs: model, data, images, best score, size, date and status."""

from __future__ import annotations

import argparse
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gan.runs import checkpoints, run_folder
from gan.runs.comparison import best_score, goal, status, target
from gan.runs.run_folder import find_runs
from gan.utils.errors import UserError
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


def run(arguments: argparse.Namespace) -> None:
    if not arguments.folder.is_dir() and arguments.folder != DEFAULT:
        raise UserError(f"{arguments.folder}: no such folder; give the folder that contains run folders")
    runs = find_runs(arguments.folder) if arguments.folder.is_dir() else []
    listed = sorted(map(describe, runs), key=lambda row: row.time)
    if not listed:
        print(f"{arguments.folder}: no runs yet; train one with gan train data.root=FOLDER")
        return
    print_aligned(COLUMNS, [row.cells for row in listed], NUMBERS)
    print(f"{counted(len(listed), 'run')}, {sum(row.bytes for row in listed) / 1e6:,.0f} MB")


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
