"""Collect what a report shows of a run folder, which may come from someone else. No torch."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from gan.common.errors import UserError
from gan.common.nested import flatten
from gan.run import checkpoints, run_folder, status
from gan.run.comparison import Run
from gan.run.metrics import first_scored, json_lines
from gan.sharing.report.grids import Grids, find_grids
from gan.sharing.report.log import ONE_RUN, Log, read_log
from gan.sharing.report.private import leaf, public_tree

MAX_RECORDS = 20_000  # lines of evaluation.jsonl
MAX_STARTS = 1000  # lines of environment.jsonl
DAMAGED = (UserError, OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
MAX_BYTES = 1 << 26  # of each of these files


@dataclass
class Facts:
    """A run as a report shows it.

    Attributes:
        tree: the configuration.
        config: the same by dotted names.
        starts: the lines of environment.jsonl.
        records: the lines of evaluation.jsonl.
        checkpoints: file name, images and bytes of each.
        best: the record of the best checkpoint.
        notes: what could not be read.
    """

    folder: Path
    tree: dict[str, Any]
    choices: dict[str, Any] = field(default_factory=dict)
    log: Log = field(default_factory=lambda: Log(""))
    starts: list[dict[str, Any]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    grids: Grids = field(default_factory=lambda: Grids([], None, None))
    checkpoints: list[tuple[str, int, int]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)
    status: str = ""
    notes: list[str] = field(default_factory=list)

    @cached_property
    def config(self) -> dict[str, Any]:
        return flatten(self.tree)

    @property
    def name(self) -> str:
        """The name of the run folder, without the folders above it."""
        return os.path.basename(os.path.abspath(self.folder)) or "run"

    @property
    def model(self) -> str:
        return str(self.choices.get("model") or status.target(self.tree, "model", "generator"))

    @property
    def translates(self) -> bool:
        return any(name in self.config for name in ("data.a", "data.b"))

    @property
    def data(self) -> list[str]:
        """The names of the folders of images; of the configuration if the images are not from folders."""
        found = [leaf(root) for root in self.roots]
        return found or [str(self.choices.get("data") or "built-in images")]

    @property
    def roots(self) -> list[str]:
        """The folders of images as they are stored, such as ~/scans."""
        found: list[str] = []
        for name in ("root", "a", "b"):
            value = self.config.get(f"data.{name}")
            found += [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
        return found

    @property
    def sides(self) -> tuple[int, int] | None:
        """Height and width of the images in pixels; None if the configuration does not say."""
        size = self.config.get("data.size")
        height, width = size if isinstance(size, list) and len(size) == 2 else (size, size)
        if isinstance(height, int) and isinstance(width, int) and 0 < height < 1 << 20 and 0 < width < 1 << 20:
            return height, width
        return None

    @property
    def size(self) -> str:
        """The size of the images as text, such as 64×64."""
        return "unknown size" if self.sides is None else f"{self.sides[0]}×{self.sides[1]}"

    @property
    def objective(self) -> str:
        return str(self.config.get("objective"))

    @property
    def run(self) -> Run:
        """The run for `gan.run.comparison`, without most lines of its log."""
        return Run(self.folder, self.config, self.choices, self.log.lines())

    @property
    def shown(self) -> Run:
        """The same run for the eyes of others: without paths in its options."""
        config, choices = public_tree(self.config), public_tree(self.choices)
        return self.run._replace(folder=Path(self.name), config=config, choices=choices)


def read_facts(folder: Path, limits: tuple[int, int] = ONE_RUN) -> Facts:
    """Return the facts of a run. What is missing or damaged becomes a note.

    Args:
        limits: number of curves, and of points of a curve.

    Raises:
        UserError: the folder has no configuration that can be read.
    """
    if (folder / run_folder.CONFIG).is_symlink():
        raise UserError(f"{folder / run_folder.CONFIG}: is a link; replace it with the file itself")
    facts = Facts(folder, run_folder.read_config(folder))
    if usable(facts, run_folder.OVERRIDES):
        with noting(facts, run_folder.OVERRIDES):
            facts.choices = run_folder.read_choices(folder)
    facts.log = Log(facts.objective)
    if usable(facts, run_folder.METRICS):
        with noting(facts, run_folder.METRICS):
            since = first_scored(str(facts.config.get("model._target_")))
            facts.log = read_log(folder / run_folder.METRICS, facts.objective, limits, since)
    facts.starts = read_lines(facts, run_folder.ENVIRONMENT, MAX_STARTS)
    facts.records = read_lines(facts, run_folder.EVALUATION, MAX_RECORDS)
    with noting(facts, run_folder.SAMPLES):
        facts.grids = find_grids(folder / run_folder.SAMPLES)
    if usable(facts, run_folder.CHECKPOINTS):
        with noting(facts, run_folder.CHECKPOINTS):
            read_checkpoints(facts)
    with noting(facts, "status"):
        facts.status = describe_status(facts)
    if facts.log.lost:
        facts.notes.append(f"{facts.log.lost:,} logged values are not finite or too large, and are left out.")
    if facts.log.others:
        facts.notes.append(f"{run_folder.METRICS} has more metrics than the report shows; some are left out.")
    if facts.log.cut:
        facts.notes.append(f"{run_folder.METRICS} is too long; only its first part was read.")
    return facts


@contextmanager
def noting(facts: Facts, name: str) -> Iterator[None]:
    """Turn an error into a note in the report. A damaged file raises nearly anything."""
    try:
        yield
    except DAMAGED as error:
        facts.notes.append(f"{name} cannot be read ({type(error).__name__}) and is left out.")


def usable(facts: Facts, name: str) -> bool:
    """Return whether a part of a run exists and is no link or special file; note it if it is one."""
    path = facts.folder / name
    if path.is_symlink() or (path.exists() and not (path.is_file() or path.is_dir())):
        facts.notes.append(f"{name} is a link or a special file, and is left out.")
        return False
    return path.exists()


def read_lines(facts: Facts, name: str, limit: int) -> list[dict[str, Any]]:
    """Return the last lines of a file of JSON objects."""
    found: list[dict[str, Any]] = []
    if usable(facts, name):
        with noting(facts, name):
            for line in json_lines(facts.folder / name, MAX_BYTES):
                found.append(line)
                if len(found) > 2 * limit:
                    found = found[-limit:]
    return found[-limit:]


def read_checkpoints(facts: Facts) -> None:
    for path in checkpoints.list_checkpoints(facts.folder):
        if path.is_file() and not path.is_symlink():
            images = int(path.stem.removeprefix("images-"))
            facts.checkpoints.append((path.name, images, path.stat().st_size))
    facts.best = checkpoints.best_record(facts.folder) or {}


def describe_status(facts: Facts) -> str:
    """Return whether the run is running, finished, stopped, or has no checkpoint."""
    seconds = 0.0 if math.isnan(facts.log.seconds) else facts.log.seconds
    seen = facts.log.images
    if facts.checkpoints:
        newest = facts.folder / run_folder.CHECKPOINTS / facts.checkpoints[-1][0]
        with suppress(OSError, ValueError):
            sidecar = checkpoints.read_sidecar(newest)
            seen, seconds = max(seen, sidecar["images"]), max(seconds, sidecar.get("seconds") or 0.0)
    return status.status(facts.folder, facts.tree, bool(facts.checkpoints), seen, seconds)
