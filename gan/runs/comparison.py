"""What runs are: status, best scores, and the options in which they differ. No torch."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from gan import scores
from gan.runs import checkpoints, lock, remote, run_folder
from gan.runs.metrics import Log, Objective, each_line
from gan.runs.remote import with_addresses
from gan.scores import Score
from gan.utils.errors import UserError
from gan.utils.option_values import flatten, is_remote, short_name
from gan.utils.output import duration, first_few, one_line, shortened

# Options that do not change the result of a run.
IGNORED = ("logger", "callback", "metric", "data.num_workers", "objective", "resume")
MAX_CELL = 28  # characters
MAX_LABEL = 80  # characters in the legend
MAX_LISTED = 5  # runs that are left out


class Run(NamedTuple):
    """One run."""

    folder: Path
    config: dict[str, Any]  # options by dotted names
    choices: dict[str, Any]  # the options that the user has typed, with groups such as model
    log: Log
    objective: Objective
    meanings: dict[str, Score]  # of its scores

    def option(self, name: str) -> Any:
        return self.config.get(name, self.choices.get(name))

    @property
    def scores(self) -> dict[str, float]:
        return {name: value for name, value in self.log.best.items() if name.startswith("eval/")}


def find_named(names: list[str]) -> list[Path]:
    """Return the run folders of paths and addresses, see `gan.runs.run_folder.find_runs`."""
    runs: list[Path] = []
    for name in names:
        inside = run_folder.find_runs(Path(remote.download(name) if is_remote(name) else name))
        if not inside:
            raise UserError(f"{name}: neither a run folder nor a folder of runs")
        runs += inside
    return list(dict.fromkeys(runs))


def load(folder: Path) -> Run:
    config, choices = run_folder.read_config(folder), run_folder.read_choices(folder)
    objective, meanings = Objective.of(config), scores.described(config.get("metric"))
    log = Log(each_line(folder / run_folder.METRICS), objective)
    return Run(folder, flatten(config), choices, log, objective, meanings)


def find_trained(names: list[str], or_failed: bool = False) -> list[Run]:
    """Return the runs that have trained, and print a line about the others; raise UserError if there is none.

    Args:
        or_failed: also return the runs that ended before they trained, such as failed jobs of a sweep.
    """
    runs, others = [], []
    for folder in find_named(names):
        try:
            run = load(folder)
        except UserError as error:
            others.append(str(error))
            continue
        if run.log.images or or_failed:
            runs.append(run)
        else:
            others.append(f"{folder}: never trained")
    if not runs:
        raise UserError(f"{others[0]}; no other run can be compared")
    if others:
        print(one_line(f"note: left out: {first_few(others, MAX_LISTED)}"), file=sys.stderr)
    return runs


def differing_options(found: list[Run], without: str = "") -> list[str]:
    """Return the options that differ between runs: the typed ones if they explain all differences.

    If options always change together, return only the one with the shortest name. Options named `without`, such as
    seed and data.seed, are left out.
    """
    typed = differing(found, {name for one in found for name in one.choices if name.rpartition(".")[2] != without})
    rest: dict[str, list[Run]] = {}
    for one in found:
        rest.setdefault(json.dumps([one.option(name) for name in typed], default=str), []).append(one)
    every = {name for one in found for name in one.config if name.rpartition(".")[2] not in ("_partial_", without)}
    names = every if any(differing(alike, every) for alike in rest.values()) else typed
    names = differing(found, names)
    values = {name: json.dumps([one.option(name) for one in found], default=str) for name in names}
    shortest = sorted(names, key=lambda name: (name.count("."), len(name)))
    kept = {values[name]: name for name in reversed(shortest)}
    return [name for name in names if name in kept.values()]


def differing(found: list[Run], names: Collection[str]) -> list[str]:
    """Return the names of options whose values differ between runs, sorted, except those in IGNORED."""
    used = sorted(name for name in names if not name.startswith(IGNORED))
    return [name for name in used if len({json.dumps(one.option(name), default=str) for one in found}) > 1]


def summary(one: Run, names: list[str]) -> dict[str, Any]:
    """Return the row of a run in the table, by heading. `names` are the options to show."""
    log = one.log
    return {
        "run": with_addresses(str(one.folder)),
        **{name: one.option(name) for name in names},
        **one.scores,
        "images seen": log.images,
        "images/s": round(log.images / log.seconds, 1) if log.seconds > 0 else None,
        "seconds": round(log.seconds, 1) if log.seconds >= 0 else None,
    }


def labels(found: list[Run], names: list[str]) -> list[str]:
    made = []
    for one in found:
        options = ", ".join(f"{short_name(name, names)}={cell(name, one.option(name))}" for name in names)
        made.append(shortened(one_line(f"{one.folder.name}  {options}".rstrip()), MAX_LABEL))
    return made


def cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name == "seconds":
        return duration(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if name.endswith("_target_"):
        value = str(value).rpartition(".")[2]
    text = f"{value:,}" if name == "images seen" else str(value)
    return text if name == "run" else shortened(text, MAX_CELL)


# ---- how far a run is


def generator_of(config: dict[str, Any]) -> str:
    words = str(config.get("model.generator._target_")).split(".")
    return words[-2] if len(words) > 1 else "?"


def how_far(folder: Path, log: Log) -> tuple[int, float]:
    """Return images seen and seconds of training, by the log and the newest checkpoint; raise as `read_sidecar`."""
    images, seconds = log.images, max(0.0, log.seconds)  # 0 if the log has none, which are NaN
    for path in checkpoints.list_checkpoints(folder)[-1:]:
        newest = checkpoints.read_sidecar(path)
        images, seconds = max(images, newest["images"]), max(seconds, newest.get("seconds") or 0.0)
    return images, seconds


def progress(config: dict[str, Any], images: int, seconds: float) -> str:
    """Return how far a run is as text, such as "50,000 of 112,000" or "16,624 in 9.2 of 12 min"."""
    length, minutes = config.get("images"), config.get("minutes")
    parts = [f"{images:,}", f" of {length:,}" if isinstance(length, int) else ""]
    if isinstance(minutes, int | float):
        parts.append(f" in {round(seconds / 60, 1):g} of {round(minutes, 1):g} min")
    return "".join(parts)


def status(folder: Path, config: dict[str, Any], images: int, seconds: float) -> str:
    """Return whether a run is running, finished, stopped before its end, or has no checkpoint; see `how_far`."""
    if lock.is_held(folder):
        return "running"
    if not checkpoints.list_checkpoints(folder):
        return "no checkpoint"
    length, minutes = config.get("images"), config.get("minutes")
    enough = isinstance(length, int) and images >= length
    long_enough = isinstance(minutes, int | float) and seconds >= 60 * minutes
    return "finished" if enough or long_enough else "stopped"


def best_score(folder: Path) -> str:
    try:
        record = checkpoints.best_record(folder) or {}
    except UserError:
        return "?"
    score = record.get("score")
    if not isinstance(score, int | float) or not math.isfinite(score):
        return "-"
    return f"{str(record.get('monitor')).removeprefix('eval/')} {score:.4g}"
