"""Where the results of commands go, which of them are written, and what could not be read. No torch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gan.models import address, shared_model
from gan.models.shared_model import path_in
from gan.runs import remote, run_folder
from gan.utils.errors import UserError
from gan.utils.output import counted, one_line, print_line

if TYPE_CHECKING:
    from gan.data.sources.files import File

SOME_UNREADABLE = 3  # exit code
MAX_LINES = 20  # maximum number of failed files to list
RERUN = "; files already written are complete, rerun the command to continue"


def out_in_run(run: str, out: Path | None, name: str) -> Path:
    """Return --out, or by default the file or folder `name` in the folder for results, see `results_of`."""
    if out is not None:
        return out
    if is_elsewhere(run):
        where = "a shared model" if shared_model.is_shared(Path(run)) else "in object storage"
        reason = f"because {address.with_addresses(run)} is {where}"
        print_line(f"writing to {name} in the current folder, {reason}; --out changes this")
        return Path(name)
    if Path(run).is_file():
        raise UserError(f"{run}: is not a run folder; give --out DIR")
    return path_in(Path(run), Path(run) / name)


def results_of(run: str) -> Path:
    """Return the folder for results about a model: the run folder, or the current folder if the model is elsewhere."""
    return Path() if is_elsewhere(run) else Path(run)


def is_elsewhere(run: str) -> bool:
    """Return whether a model is a shared one, which may belong to someone else, or a copy of a run in the cache."""
    return shared_model.is_shared(Path(run)) or remote.is_copy(Path(run))


def recognition_folder(run: str, recognition: Path | None) -> Path:
    """Return the folder of the classifier: --recognition, or where gan recognize fit writes it."""
    return recognition or results_of(run) / run_folder.RECOGNITION


def to_write(planned: list[tuple[File, Path]], force: bool) -> list[tuple[File, Path]]:
    """Return the pairs of input and output whose output must be written, and print how many exist already."""
    todo = [(file, target) for file, target in planned if force or not target.exists()]
    if len(todo) < len(planned):
        print(f"{counted(len(planned) - len(todo), 'existing file')} skipped; use --force to overwrite")
    return todo


def report_failed(lines: Sequence[str], total: int, what: str) -> int:
    """Print the lines of failed files, and how many of all they are. Return the exit code."""
    for line in lines[:MAX_LINES]:
        print(one_line(line), file=sys.stderr)
    if lines:
        print(f"{len(lines)} of {total} files could not be {what}", file=sys.stderr)
    return SOME_UNREADABLE if lines else 0
