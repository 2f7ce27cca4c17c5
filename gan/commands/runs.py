"""List runs: model, data, images, best score, size, date and status. --remove deletes run folders."""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from gan.common.errors import UserError, writing
from gan.common.names import one_line
from gan.run import checkpoints, lock, run_folder

COLUMNS = ("run", "model", "data", "images", "best score", "MB", "date", "status")
LEFT = ("run", "model", "data", "status")
MAX_CELL = 40  # characters


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
        return [shortened(one_line(text)) for text in (*texts, self.status)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs"), metavar="FOLDER", help="folder with run "
                        "folders; those of sweeps are found, too (default: %(default)s)")  # fmt: skip
    parser.add_argument("--remove", nargs="+", type=Path, default=[], metavar="RUN", help="delete these run folders, "
                        "with their checkpoints and all other files")  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="do not ask before --remove")


def run(arguments: argparse.Namespace) -> None:
    if arguments.remove:
        remove(arguments.remove, arguments.yes)
        return
    if not arguments.folder.is_dir():
        raise UserError(f"{arguments.folder}: no such folder; give the folder that contains run folders")
    found = sorted(map(describe, find_runs(arguments.folder)), key=lambda each: each.time)
    if not found:
        print(f"{arguments.folder}: contains no run folders")
        return
    print_table([list(COLUMNS), *(each.cells for each in found)])
    print(f"{len(found)} runs, {sum(each.bytes for each in found) / 1e6:,.0f} MB")


def find_runs(folder: Path) -> list[Path]:
    """Return the run folders that are a folder, are in it, or are the jobs of sweeps in it."""
    if is_run(folder):
        return [folder]
    inside = sorted(path for path in folder.iterdir() if path.is_dir())
    return [run for path in inside for run in ([path] if is_run(path) else filter(is_run, sorted(path.iterdir())))]


def is_run(path: Path) -> bool:
    """Return whether a path is a folder that training has written."""
    return all((path / name).is_file() for name in (run_folder.CONFIG, run_folder.OVERRIDES, run_folder.ENVIRONMENT))


def describe(folder: Path) -> Listed:
    """Return the row of a run folder. Values that cannot be read are shown as "?"."""
    try:
        config = run_folder.read_config(folder)
        choices = run_folder.read_choices(folder)
    except (UserError, AttributeError, TypeError, ValueError):
        return Listed(folder, "?", "?", "?", "?", size_of(folder), changed(folder), "damaged")
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


def target(config: dict[str, Any], *names: str) -> str:
    """Return the name of the module that a section of a configuration builds, such as dcgan."""
    node: Any = config
    for name in names:
        node = node.get(name) if isinstance(node, dict) else None
    words = str(node.get("_target_") if isinstance(node, dict) else "").split(".")
    return words[-2] if len(words) > 1 else "?"


def goal(config: dict[str, Any]) -> str:
    """Return the length of a run as text."""
    lengths = [f"{config['images']:,}"] if isinstance(config.get("images"), int) else []
    lengths += [f"{config['minutes']:g} min"] if isinstance(config.get("minutes"), int | float) else []
    return f" of {' or '.join(lengths)}" if lengths else ""


def status(folder: Path, config: dict[str, Any], saved: bool, seen: int, seconds: float) -> str:
    """Return whether a run is running, finished, stopped before its end, or has no checkpoint."""
    if lock.is_held(folder):
        return "running"
    if not saved:
        return "no checkpoint"
    images, minutes = config.get("images"), config.get("minutes")
    enough = isinstance(images, int) and seen >= images
    long_enough = isinstance(minutes, int | float) and seconds >= 60 * minutes
    return "finished" if enough or long_enough else "stopped"


def best_score(folder: Path) -> str:
    """Return the best score of a run with its name, or "-"."""
    try:
        record = checkpoints.best_record(folder) or {}
    except UserError:
        return "?"
    score = record.get("score")
    if not isinstance(score, int | float) or not math.isfinite(score):
        return "-"
    return f"{str(record.get('monitor')).removeprefix('eval/')} {score:.4g}"


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
    return max((path.stat().st_mtime for name in names if (path := folder / name).exists()), default=0.0)


def remove(folders: list[Path], sure: bool) -> None:
    """Delete run folders, after a question on the terminal if `sure` is False.

    Raises:
        UserError: one of them is not a run folder, is a link or is in use; then none is deleted.
    """
    for folder in folders:
        check_removable(folder)
    for folder in folders:
        print(
            f"{folder}: {size_of(folder) / 1e6:,.0f} MB in {sum(len(names) for *_, names in os.walk(folder)):,} files"
        )
    if not sure:
        if not sys.stdin.isatty():
            raise UserError("--remove: no terminal to ask on; add --yes to delete these folders")
        if input(f"delete {len(folders)} run folders with all their files? [y/N] ").strip().lower() not in ("y", "yes"):
            print("nothing is deleted")
            return
    for folder in folders:
        check_removable(folder)  # training may have begun while the question was open
        aside = folder.resolve().with_name(f".{folder.resolve().name}.removed")
        with writing(folder):
            os.replace(folder.resolve(), aside)  # at once, so that no half of a run is left under its name
            shutil.rmtree(aside)
        print(f"{folder}: deleted")


def check_removable(folder: Path) -> None:
    """Raise UserError if a path is not a run folder that may be deleted."""
    if not folder.is_dir():
        raise UserError(f"--remove {folder}: no such folder")
    if folder.is_symlink():
        raise UserError(f"--remove {folder}: is a link; give the folder itself")
    if not is_run(folder):
        raise UserError(f"--remove {folder}: is not a run folder, so it is not deleted")
    if lock.is_held(folder):
        raise UserError(f"--remove {folder}: a process is training in this folder; stop it first")


def shortened(text: str) -> str:
    """Return text of at most MAX_CELL characters; the beginning of a longer one is omitted."""
    return text if len(text) <= MAX_CELL else "..." + text[3 - MAX_CELL :]


def print_table(rows: list[list[str]]) -> None:
    """Print rows with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            text.ljust(width) if name in LEFT else text.rjust(width)
            for name, text, width in zip(COLUMNS, row, widths, strict=True)
        )
        print("  ".join(cells).rstrip())
