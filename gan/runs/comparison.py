"""What runs are: status, best scores, and the options in which they differ. No torch."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from gan.runs import checkpoints, lock, remote, run_folder
from gan.runs.metrics import first_scored, read_metrics
from gan.runs.remote import with_addresses
from gan.utils.errors import UserError
from gan.utils.option_values import flatten, is_remote, short_name
from gan.utils.output import duration, one_line, shortened

# Options that do not change the result of a run.
IGNORED = ("logger", "callback", "metric", "data.num_workers", "objective", "resume")
MAX_CELL = 28  # characters
MAX_LABEL = 80  # characters in the legend


class Run(NamedTuple):
    """One run."""

    folder: Path
    config: dict[str, Any]  # options by dotted names
    choices: dict[str, Any]  # the options that the user has typed, with groups such as model
    lines: list[dict[str, Any]]  # those of metrics.jsonl

    def option(self, name: str) -> Any:
        """Return the value of an option or a typed group; None if the run has no such option."""
        return self.config.get(name, self.choices.get(name))

    @property
    def scores(self) -> dict[str, float]:
        """All scores of the evaluation with the best value of the run's objective."""
        objective = str(self.config.get("objective"))
        since = first_scored(str(self.config.get("model._target_")))
        trained = [line for line in self.lines if line["images"] >= since]
        scored = [line for line in trained if math.isfinite(line.get(objective, math.nan))]
        best = min(scored, key=lambda line: line[objective]) if scored else {}
        return {name: best.get(name, math.nan) for name in best if name.startswith("eval/")}

    @property
    def images(self) -> int:
        return max((line["images"] for line in self.lines), default=0)

    @property
    def seconds(self) -> float:
        """Seconds of training, without evaluations and pauses; NaN for a run of an older version."""
        return max(
            (clock for line in self.lines if 0 <= (clock := line.get("seconds", -1)) < math.inf), default=math.nan
        )


def find_runs(given: list[str]) -> list[Path]:
    """Return the run folders: each given path, or the run folders in it."""
    runs: list[Path] = []
    for name in given:
        path = Path(remote.download(name) if is_remote(name) else name)
        configs = [path / run_folder.CONFIG] if (path / run_folder.CONFIG).is_file() else path.glob("*/config.yaml")
        inside = sorted((config.parent for config in configs), key=natural)
        if not inside:
            raise UserError(f"{name}: neither a run folder nor a folder of runs")
        runs += inside
    return list(dict.fromkeys(runs))


def natural(folder: Path) -> tuple[int, int, str]:
    """Return a key that sorts the jobs of a sweep by number, then other names."""
    name = folder.name
    return (0, int(name), "") if name.isdecimal() and len(name) < 10 else (1, 0, name)


def load(folder: Path) -> Run:
    config, choices = flatten(run_folder.read_config(folder)), run_folder.read_choices(folder)
    return Run(folder, config, choices, read_metrics(folder / run_folder.METRICS))


def differing_options(found: list[Run]) -> list[str]:
    """Return the options that differ between runs: the typed ones if they explain all differences.

    If options always change together, return only the one with the shortest name.
    """
    typed = differing(found, {name for one in found for name in one.choices})
    rest: dict[str, list[Run]] = {}
    for one in found:
        rest.setdefault(json.dumps([one.option(name) for name in typed], default=str), []).append(one)
    every = {name for one in found for name in one.config if not name.endswith("_partial_")}
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
    return {
        "run": with_addresses(str(one.folder)),
        **{name: one.option(name) for name in names},
        **one.scores,
        "images seen": one.images,
        "images/s": round(one.images / one.seconds, 1) if one.seconds > 0 else None,
        "seconds": round(one.seconds, 1) if one.seconds >= 0 else None,
    }


def heading(name: str, names: list[str]) -> str:
    return short_name(name.removeprefix("eval/"), names)


def labels(found: list[Run], names: list[str]) -> list[str]:
    """Return a short unique name of each run for a figure: its options that differ, or else also its folder."""
    shown = {name: abbreviated(short_name(name, names)) for name in names}
    made = []
    for one in found:
        options = ", ".join(f"{shown[name]}={cell(name, one.option(name))}" for name in names)
        made.append(shortened(one_line(options), MAX_LABEL))
    return [
        text if text and made.count(text) == 1 else shortened(one_line(f"{one.folder.name} {text}".rstrip()), MAX_LABEL)
        for one, text in zip(found, made, strict=True)
    ]


def abbreviated(name: str) -> str:
    """Return a dotted name with short parents, such as discr.lr."""
    *parents, last = name.split(".")
    return ".".join([*(parent[:5] for parent in parents), last])


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
