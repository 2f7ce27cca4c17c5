"""The run folder: its layout, its configuration and its overrides. No torch, so that commands start quickly.

docs/training.md lists its files. `.lock` names the process that trains into the folder (`gan.runs.lock`), and
`.remote.json` what its copy in object storage has (`gan.runs.remote`).

A run folder may come from an untrusted source: sizes are limited, contents are checked, and names in its files never
lead out of the folder.
`gan.runs.checkpoints` handles checkpoints, `gan.runs.metrics` the log.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from gan.utils.errors import UserError
from gan.utils.output import first_few
from gan.utils.untrusted import parse_yaml, read_yaml

CONFIG = "config.yaml"
OVERRIDES = "overrides.yaml"
ENVIRONMENT = "environment.jsonl"
METRICS = "metrics.jsonl"
METRICS_CSV = "metrics.csv"  # of the logger csv
EVALUATION = "evaluation.jsonl"
LOGGERS = "loggers.json"
CHECKPOINTS = "checkpoints"
SAMPLES = "samples"
GENERATED = "generated"  # of gan generate
RECOGNITION = "recognition"
DIRECTIONS, DIRECTIONS_FILE = "directions", "directions.safetensors"  # folder of gan directions, and file in it
PROJECTED, LATENTS_FILE = "projected", "latents.safetensors"  # folder of gan project, and file in it
LOCK = ".lock"
REMOTE = ".remote.json"
DECISION = ".decision.json"  # the decision of rank 0, for the other ranks
MAX_LISTED = 5  # runs in a message
MAX_OVERRIDES = 1_000  # of a run
PARTS = ("train", "val")  # of the images of a run, in RUN:train and RUN:val
# What a damaged or forged file of a run raises where its values are used.
DAMAGED = (UserError, OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
RECORD = (ENVIRONMENT, OVERRIDES, CONFIG)  # what every run has, in the order in which it is written


def run_of(reference: str) -> tuple[Path | None, str]:
    """Return the run and the part of its images from RUN:train or RUN:val; (None, "") for any other text."""
    run, _, part = reference.rpartition(":")
    return (Path(run), part) if run and part in PARTS else (None, "")


def folder_of(path: Path) -> Path:
    return path.resolve().parent.parent if path.is_file() else path


def is_run(folder: Path) -> bool:
    """Return whether a folder has the whole record of a run. A folder with a config.yaml may be something else."""
    return all(os.path.isfile(folder / name) for name in RECORD)  # False if the folder cannot be read


def hint_inside(folder: Path) -> str:
    """Return a hint that lists the runs directly in a folder; an empty string if there are none."""
    runs = list(map(str, jobs_of(folder)))
    return f"give one of the runs in it: {first_few(runs, MAX_LISTED)}" if runs else ""


def find_runs(folder: Path) -> list[Path]:
    """Return the run folders that are a path, are in it, or are the jobs of sweeps in it; none if it is no folder."""
    if is_run(folder):
        return [folder]
    inside = sorted((path for path in folder.iterdir() if path.is_dir()), key=natural) if folder.is_dir() else []
    return [run for path in inside for run in ([path] if is_run(path) else jobs_of(path))]


def jobs_of(folder: Path) -> list[Path]:
    try:
        return [path for path in sorted(folder.iterdir(), key=natural) if is_run(path)]
    except OSError:
        return []


def natural(folder: Path) -> tuple[int, int, str]:
    name = folder.name
    return (0, int(name), "") if name.isdecimal() and len(name) < 10 else (1, 0, name)


def refuse_links(run: Path) -> None:
    """Raise UserError if a part of a run is a link or a special file.

    Training would write to the target of a link or remove it, and would wait forever for a named pipe.
    """
    names = (*RECORD, METRICS, METRICS_CSV, EVALUATION, LOGGERS, LOCK, DECISION, REMOTE, CHECKPOINTS, SAMPLES)
    parts = [run / name for name in names]
    for path in (*parts, *run.glob("checkpoints/*"), *run.glob("events.out.tfevents.*")):
        is_special = path.exists() and not (path.is_file() or path.is_dir())
        if is_special or (path.is_symlink() and path in parts):
            raise UserError(f"{path}: is not a regular file or folder; move it away, or link the whole run folder")


def read_config(run: Path) -> dict[str, Any]:
    path = run / CONFIG
    try:
        found = read_yaml(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; is {run} a run folder?") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise UserError(f"{path}: is not the configuration of a run")
    return found


def read_overrides(run: Path) -> list[str]:
    """Return the overrides of a run as they were typed; empty if the folder has none."""
    path = run / OVERRIDES
    words = (read_yaml(path) if path.exists() else None) or []
    if not (isinstance(words, list) and len(words) <= MAX_OVERRIDES and all(isinstance(word, str) for word in words)):
        raise UserError(f"{path}: is not a list of overrides KEY=VALUE")
    return words


def read_choices(run: Path) -> dict[str, str | float | bool]:
    """Return the overrides of a run by option, except those of Hydra, loggers and callbacks."""
    words = (word.lstrip("+~") for word in read_overrides(run))
    pairs = (word.partition("=") for word in words if not word.startswith(("hydra", "logger", "callback")))
    typed = {name: plain_value(value) for name, _, value in pairs}
    return {name: value if isinstance(value, int | float | str) else str(value) for name, value in typed.items()}


def plain_value(text: str) -> Any:
    """Return the value of an override, which is YAML except for quotes in a quoted string; text if it is not YAML."""
    try:
        return parse_yaml(text)
    except (ValueError, OverflowError, RecursionError, yaml.YAMLError):
        return text.strip("'").replace("\\'", "'")


def version_of(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version  # slow to import

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git_revision() -> str | None:
    """Return the git revision of this checkout, with "-dirty" if it was changed; None for an installed package.

    An installed package may be in an environment inside of the user's own repository.
    """
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / "train.py").is_file():
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
