"""List runs: model, data, images, best score, size, date and status."""

from __future__ import annotations

import argparse
import os
import time
from contextlib import suppress
from pathlib import Path

from gan.runs import run_folder
from gan.runs.comparison import best_score, generator_of, how_far, progress, status
from gan.runs.metrics import Log, each_line
from gan.runs.run_folder import find_runs
from gan.utils.errors import UserError
from gan.utils.option_values import flatten
from gan.utils.output import counted, one_line, print_aligned

COLUMNS = ("run", "model", "data", "images", "best score", "MB", "date", "status")
NUMBERS = ("images", "best score", "MB", "date")
DEFAULT = Path("runs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT, metavar="FOLDER", help="folder with run "
                        "folders; those of sweeps are found, too (default: %(default)s)")  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    if not arguments.folder.is_dir() and arguments.folder != DEFAULT:
        raise UserError(f"{arguments.folder}: no such folder; give the folder that contains run folders")
    folders = find_runs(arguments.folder)
    if not folders:
        print(f"{arguments.folder}: no runs yet; train one with gan train data.root=FOLDER")
        return
    rows, total = [], 0
    for folder in sorted(folders, key=changed):
        size, day = size_of(folder), time.strftime("%Y-%m-%d %H:%M", time.localtime(changed(folder)))
        *texts, state = row_of(folder)
        rows.append([one_line(text) for text in (str(folder), *texts, f"{size / 1e6:,.0f}", day, state)])
        total += size
    print_aligned(COLUMNS, rows, NUMBERS)
    print(f"{counted(len(rows), 'run')}, {total / 1e6:,.0f} MB")


def row_of(folder: Path) -> tuple[str, str, str, str, str]:
    """Return model, data, images, best score and status of a run folder, "damaged" if its files are not valid."""
    try:
        config, choices = run_folder.read_config(folder), run_folder.read_choices(folder)
        options = flatten(config)
        model = str(choices.get("model") or generator_of(options))
        name = Path(str(options.get("data.root") or "")).name or str(choices.get("data") or "retro")
        far = how_far(folder, Log(each_line(folder / run_folder.METRICS)))
        return model, name, progress(config, *far), best_score(folder), status(folder, config, *far)
    except run_folder.DAMAGED:
        return "?", "?", "?", "?", "damaged"


def size_of(folder: Path) -> int:
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
