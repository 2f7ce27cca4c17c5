"""Collect what a report shows of a run folder, which may come from someone else. No torch."""

from __future__ import annotations

import math
import os
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from gan.runs import run_folder
from gan.runs.comparison import generator_of, how_far, status
from gan.runs.metrics import Log, Objective, each_line, json_lines
from gan.runs.run_folder import DAMAGED
from gan.utils.option_values import flatten

MAX_LOG = 1 << 26  # bytes of metrics.jsonl, from its beginning
MAX_LINES = 20_000  # of evaluation.jsonl and environment.jsonl
MAX_BYTES = 1 << 26  # of each of these files
MAX_FILES = 100_000  # names of samples/ that are read
GRID = re.compile(r"(\d{1,18})\.png")
COPIES = re.compile(r"copies-(\d{1,18})\.png")
REALS = "reals.png"

ROOT = re.compile(r"\s*(file://|~|[/\\]|[A-Za-z]:[/\\]|\.\.[/\\])")  # how a path that leads elsewhere begins
STOP = r"\s'\",;=:\[\]{}()<>|/\\"
# A path of at least two parts inside other text. An address such as https://host/name is none.
INSIDE = re.compile(rf"(?<![\w.:/\\~-])(?:~[^{STOP}]*|[A-Za-z]:|(?:\.\.[/\\])*\.\.)?(?:[/\\][^{STOP}]+){{2,}}[/\\]?"
                    rf"|(?<![\w.:/\\~-])(?:~[^{STOP}]*|\.\.|[A-Za-z]:)[/\\][^{STOP}]+")  # fmt: skip
HOME = re.compile(r"(?:[A-Za-z]:)?[/\\](?:root|(?:home|Users)[/\\][^/\\]+)[/\\]?|~[^/\\]*")


class Grids(NamedTuple):
    """The files in samples/: images seen and path of each grid in order; the newest copies; the real images."""

    grids: list[tuple[int, Path]]
    copies: Path | None
    reals: Path | None


def find_grids(folder: Path) -> Grids:
    """Return the grids of a run; nothing if samples/ is missing or leads out of the run folder."""
    grids, copies, reals = [], [], None
    for path in files_in(folder):
        if found := GRID.fullmatch(path.name):
            grids.append((int(found[1]), path))
        elif found := COPIES.fullmatch(path.name):
            copies.append((int(found[1]), path))
        elif path.name == REALS:
            reals = path
    return Grids(sorted(grids), max(copies)[1] if copies else None, reals)


def files_in(folder: Path) -> Iterator[Path]:
    """Yield the regular files of a folder that is no link itself. A link may show a foreign file to the reader."""
    if folder.is_symlink() or not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in islice(entries, MAX_FILES):
            if entry.is_file(follow_symlinks=False):
                yield Path(entry.path)


@dataclass
class Facts:
    """A run as a report shows it."""

    folder: Path
    tree: dict[str, Any]  # the configuration
    choices: dict[str, Any] = field(default_factory=dict)
    log: Log = field(default_factory=Log)
    starts: list[dict[str, Any]] = field(default_factory=list)  # the lines of environment.jsonl
    records: list[dict[str, Any]] = field(default_factory=list)  # the lines of evaluation.jsonl
    grids: Grids = field(default_factory=lambda: Grids([], None, None))
    status: str = ""
    notes: list[str] = field(default_factory=list)  # what could not be read

    @cached_property
    def config(self) -> dict[str, Any]:
        return flatten(self.tree)

    @property
    def name(self) -> str:
        return os.path.basename(os.path.abspath(self.folder)) or "run"

    @property
    def summary(self) -> str:
        model = str(self.choices.get("model") or generator_of(self.config))
        return f"{model} on {', '.join(self.data[:4])}, {self.size} pixels"

    @property
    def translates(self) -> bool:
        return any(name in self.config for name in ("data.a", "data.b"))

    @property
    def data(self) -> list[str]:
        """The names of the folders of images; of the configuration if the images are not from folders."""
        roots: list[str] = []
        for name in ("root", "a", "b"):
            value = self.config.get(f"data.{name}")
            roots += [root for root in (value if isinstance(value, list) else [value]) if isinstance(root, str)]
        return [leaf(root) for root in roots] or [str(self.choices.get("data") or "built-in images")]

    @property
    def size(self) -> str:
        size = self.config.get("data.size")
        height, width = size if isinstance(size, list) and len(size) == 2 else (size, size)
        return f"{height}×{width}"

    @property
    def objective(self) -> str:
        return str(self.config.get("objective"))

    @property
    def score(self) -> float:
        """The best value of the objective; inf if there is none."""
        return self.log.best.get(self.objective, math.inf)


def read_facts(folder: Path) -> Facts:
    """Return the facts of a run, with notes about what is damaged; raise UserError if its configuration is."""
    facts = Facts(folder, run_folder.read_config(folder))
    with noting(facts, run_folder.OVERRIDES):
        facts.choices = run_folder.read_choices(folder)
    with noting(facts, run_folder.METRICS):
        facts.log = Log(each_line(folder / run_folder.METRICS, MAX_LOG), Objective.of(facts.tree))
    with noting(facts, run_folder.ENVIRONMENT):
        facts.starts = last_lines(folder / run_folder.ENVIRONMENT)
    with noting(facts, run_folder.EVALUATION):
        facts.records = last_lines(folder / run_folder.EVALUATION)
    with noting(facts, run_folder.SAMPLES):
        facts.grids = find_grids(folder / run_folder.SAMPLES)
    with noting(facts, "status"):
        facts.status = status(folder, facts.tree, *how_far(folder, facts.log))
    if facts.log.lost:
        facts.notes.append(f"{facts.log.lost:,} logged values are not finite or too large, and are left out.")
    if (path := folder / run_folder.METRICS).is_file() and path.stat().st_size > MAX_LOG:
        facts.notes.append(f"{run_folder.METRICS} is long; its end is left out.")
    if not facts.log.complete:
        facts.notes.append(f"{run_folder.METRICS} has more metrics than the report shows; some are left out.")
    return facts


@contextmanager
def noting(facts: Facts, name: str) -> Iterator[None]:
    """Turn an error into a note in the report. A damaged file raises nearly anything."""
    try:
        yield
    except DAMAGED as error:
        facts.notes.append(f"{name} cannot be read ({type(error).__name__}) and is left out.")


def last_lines(path: Path) -> list[dict[str, Any]]:
    return list(deque(json_lines(path, MAX_BYTES), MAX_LINES))


# ---- what a reader should not learn: folders above a file, and with them the name of the user


def leaf(path: str) -> str:
    """Return the last name of a path; ~ for a home folder."""
    bare = path.strip().strip("'\"").removeprefix("file://")
    if HOME.fullmatch(bare):
        return "~"
    return re.split(r"[/\\]", bare.rstrip("/\\"))[-1] or "/"


def public(value: str) -> str:
    """Return text in which paths that lead elsewhere, such as absolute ones, are only their last name."""
    bare = value.strip()
    if bare[:1] == "[" and bare[-1:] == "]":
        return "[" + ",".join(public(each) for each in bare[1:-1].split(",")) + "]"
    if ROOT.match(bare.lstrip("'\"")):
        return leaf(bare)
    return INSIDE.sub(lambda found: leaf(found[0]), value)


def public_word(word: str) -> str:
    """Return a word of a command line, such as data.root=/home/me/scans, as data.root=scans."""
    key, separator, value = word.partition("=")
    return f"{key}={public(value)}" if separator else public(word)
