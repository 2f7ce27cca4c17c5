"""The run folder on disk: what is in it, and how anything is written there. No torch, so that commands start at once.

runs/NAME/  config.yaml          the resolved configuration
            overrides.yaml       what was typed
            environment.jsonl    one line a start: git revision, package versions, machine
            metrics.jsonl        one line a logged step, against images seen; beside TensorBoard's events
            evaluation.jsonl     one line a number that gan evaluate has measured
            samples/             reals.png, and a grid of fixed latents by images seen
            recognition/         what gan recognize fit has learned with the discriminator
            checkpoints/         images-000012800.ckpt with its .json (SHA-256, images, the best so far), and best.json
            .lock                who trains into the folder (`gan.run.lock`), while it does

A run folder may come from a stranger: what is read of it is bounded and checked, and no name in it leads out of it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from gan.common.errors import UserError
from gan.common.files import TEMPORARY, is_alive, temporary, write_atomically, write_json
from gan.common.untrusted import parse_json, read_json, read_yaml

CONFIG = "config.yaml"
OVERRIDES = "overrides.yaml"
ENVIRONMENT = "environment.jsonl"
METRICS = "metrics.jsonl"
EVALUATION = "evaluation.jsonl"
CHECKPOINTS = "checkpoints"
SAMPLES = "samples"
RECOGNITION = "recognition"
LOCK = ".lock"
DECISION = ".decision.json"  # of rank 0, for the others
BEST = "best.json"
BEST_STATE = "record"  # its content in the state of `gan.training.callbacks.checkpoint`
CHECKPOINT = re.compile(r"images-\d{9,18}\.ckpt")  # a checkpoint's file name
LONGEST_LINE = 1 << 20  # characters of metrics.jsonl


def revision() -> str | None:
    """Git revision of this checkout, with "-dirty" where it was changed; None outside of git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() if found.returncode == 0 else None


def checkpoint_path(run: Path, images: int) -> Path:
    return run / CHECKPOINTS / f"images-{images:09d}.ckpt"


def checkpoint_named(run: Path, name: object) -> Path:
    """The checkpoint of a run with this file name; of any other name, one that is not there."""
    return run / CHECKPOINTS / (name if isinstance(name, str) and CHECKPOINT.fullmatch(name) else "images-none.ckpt")


def sidecar(checkpoint: Path) -> Path:
    """The file beside a checkpoint that holds its SHA-256, bytes and images; it is written first."""
    return checkpoint.with_suffix(".json")


def about(checkpoint: Path) -> dict[str, Any]:
    """What the file beside a checkpoint says of it: sha256, bytes, images, and where there are such seconds and best.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not what this program writes.
    """
    found = read_json(sidecar(checkpoint))
    types = {"sha256": str, "bytes": int, "images": int, "seconds": int | float | None, "best": dict | None}
    if not isinstance(found, dict) or not {"sha256", "images"} <= found.keys():
        raise ValueError(f"{sidecar(checkpoint).name} is not of this program")
    for name, kind in types.items():
        if name in found and (not isinstance(found[name], kind) or isinstance(found[name], bool)):
            raise ValueError(f"{sidecar(checkpoint).name} has {name}={str(found[name])[:40]}")
    return found


def checkpoints(run: Path) -> list[Path]:
    """Checkpoints of a run, oldest first, whole or not."""
    return sorted(path for path in (run / CHECKPOINTS).glob("images-*.ckpt") if CHECKPOINT.fullmatch(path.name))


def is_complete(checkpoint: Path) -> bool:
    """Whether a checkpoint and the file beside it are there and have the size that was saved: `damage` in a moment."""
    try:
        expected = about(checkpoint)
        return checkpoint.stat().st_size == expected.get("bytes", checkpoint.stat().st_size)
    except (OSError, ValueError):
        return False


def damage(checkpoint: Path) -> str | None:
    """Why a checkpoint is not what was saved, or None if it is."""
    try:
        expected = about(checkpoint)
        with open(checkpoint, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (OSError, ValueError) as error:
        return f"it cannot be read ({error})"
    return None if digest == expected["sha256"] else "its checksum differs from the one saved with it"


def newest(run: Path, say: Callable[[str], None]) -> Path | None:
    """The newest whole checkpoint; damaged ones are passed over and said."""
    for checkpoint in reversed(checkpoints(run)):
        reason = damage(checkpoint)
        if reason is None:
            return checkpoint
        say(f"{checkpoint}: damaged, {reason}; going back to the one before")
    return None


def best(run: Path) -> Path | None:
    """The checkpoint with the best score so far, if there has been an evaluation.

    The newest complete checkpoint knows it, and is saved in one piece; best.json is written after it, so that it may be
    of the time before where a run was killed between the two. It counts where checkpoints say nothing.
    """
    record = best_record(run)
    return run / CHECKPOINTS / record["checkpoint"] if record else None


def best_record(run: Path) -> dict[str, Any] | None:
    """What best.json should hold: checkpoint (a file name), images, monitor, score.

    Raises:
        UserError: best.json is needed, and is damaged.
    """
    path = run / CHECKPOINTS / BEST
    found: Any
    try:
        complete = next((each for each in reversed(checkpoints(run)) if is_complete(each)), None)
        told = about(complete) if complete else {}
        found = told["best"] if "best" in told else read_json(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); use checkpoint=last") from error
    if found is None:
        return None
    if not isinstance(found, dict) or not CHECKPOINT.fullmatch(str(found.get("checkpoint"))):
        raise UserError(f"{path}: names no checkpoint of this run; use checkpoint=last")
    return found


def refuse_links(run: Path) -> None:
    """UserError where a part of a run folder is a link: what it leads to would be written, pruned or removed."""
    for name in (CONFIG, OVERRIDES, ENVIRONMENT, METRICS, EVALUATION, CHECKPOINTS, SAMPLES):
        if (run / name).is_symlink():
            raise UserError(
                f"{run / name}: is a link; a run folder holds its files itself, and may be linked as a whole"
            )


def mend(run: Path, say: Callable[[str], None]) -> Path | None:
    """Put a run folder in order that a killed process has left, and return its newest whole checkpoint.

    What was begun to be written is removed, damaged checkpoints are set aside, and best.json agrees with the others. Of
    checkpoints older than the newest whole one the size is looked at, not the checksum. For who has the folder's lock.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = run / CHECKPOINTS
    for path in (*run.glob(".*.tmp"), *folder.glob(".*.tmp"), *(run / SAMPLES).glob(".*.tmp")):
        found = TEMPORARY.fullmatch(path.name)
        if found and not (path.parent.name == SAMPLES and is_alive(int(found[1]))):  # gan evaluate writes there, too
            path.unlink(missing_ok=True)
    for path in folder.glob("images-*.json"):
        if not path.with_suffix(".ckpt").exists():
            path.unlink(missing_ok=True)
    whole, damaged = None, []
    for path in reversed(checkpoints(run)):
        if whole is None and (reason := damage(path)):
            say(f"{path}: damaged, {reason}; going back to the one before")
            damaged.append(path)
        elif not is_complete(path):
            damaged.append(path)
        else:
            whole = whole or path
    if whole is not None:  # else the damaged ones are all that there is
        if damaged:
            say(f"damaged checkpoints are now in {set_aside(run, damaged)}")
        mend_best(run)
    return whole


def mend_best(run: Path) -> None:
    """Write best.json anew where it is not what the newest checkpoint says, or names a checkpoint that is not there."""
    path = run / CHECKPOINTS / BEST
    try:
        written = read_json(path)
    except FileNotFoundError:
        written = None
    except (OSError, ValueError):
        written = {}  # damaged
    try:
        record = best_record(run)
    except UserError:
        record = None
    if record and not is_complete(path.with_name(record["checkpoint"])):
        record = None
    if record is None:
        path.unlink(missing_ok=True)
    elif record != written:
        write_json(path, record)


def set_aside(run: Path, paths: Iterable[Path]) -> Path:
    """Move checkpoints with the files beside them into a new folder of the run's, and return it."""
    now = time.strftime("%Y%m%d-%H%M%S")
    names = (f"set-aside-{now}{end}" for end in ("", *(f"-{number}" for number in range(2, 1000))))
    aside = next(path for name in names if not (path := run / CHECKPOINTS / name).exists())
    aside.mkdir()
    for path in paths:
        for each in (path, sidecar(path)):
            if each.exists():
                each.rename(aside / each.name)
    return aside


def remove(checkpoint: Path) -> None:
    """Remove a checkpoint and the file beside it; whenever this is interrupted, no half of it passes for a checkpoint,
    and `mend` removes the rest."""
    gone = temporary(checkpoint)
    if checkpoint.exists():
        os.replace(checkpoint, gone)
    sidecar(checkpoint).unlink(missing_ok=True)
    gone.unlink(missing_ok=True)


def find(run: str | os.PathLike[str], checkpoint: str = "best", say: Callable[[str], None] = print) -> Path:
    """Path of a run's checkpoint: "best" (the last where nothing was evaluated), "last", or a file.

    Raises:
        UserError: there is no such run or checkpoint, or none is whole.
    """
    folder = Path(run)
    if folder.is_file():
        return folder
    if checkpoint not in ("best", "last"):
        if not Path(checkpoint).is_file():
            raise UserError(f"checkpoint {checkpoint}: no such file; give best, last or a path")
        return Path(checkpoint)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such run folder")
    if checkpoint == "best" and (path := best(folder)) is not None:
        reason = damage(path)
        if reason is None:
            return path
        say(f"{path}: damaged, {reason}; taking the last one")
    path = newest(folder, say)
    if path is None:
        raise UserError(f"{folder}: holds no whole checkpoint in {CHECKPOINTS}/; is it a run folder?")
    return path


def images_of(checkpoint: Path) -> int:
    """Images seen at a checkpoint, from the file beside it; UserError where that is damaged."""
    try:
        return int(about(checkpoint)["images"])
    except (OSError, ValueError) as error:
        raise UserError(f"{sidecar(checkpoint)}: cannot be read ({error})") from error


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """{"data.size": 64, ...} of nested dicts; an empty dict is a leaf."""
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree}
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves.update(flatten(value, f"{prefix}.{key}" if prefix else str(key)))
    return leaves


def read_config(run: Path) -> dict[str, Any]:
    """A run's configuration.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    path = run / CONFIG
    try:
        found = read_yaml(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such file; is {run} a run folder?") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise UserError(f"{path}: is not the configuration of a run")
    return found


def choices(run: Path) -> dict[str, str | float | bool]:
    """What was typed for a run and makes it differ from the defaults, by option."""
    words = read_yaml(run / OVERRIDES) if (run / OVERRIDES).exists() else None
    pairs = (word.lstrip("+~").partition("=") for word in words or [])
    typed = {
        name: yaml.safe_load(value) for name, _, value in pairs if not name.startswith(("hydra", "logger", "callback"))
    }
    return {name: value if isinstance(value, int | float | str) else str(value) for name, value in typed.items()}


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl, each with the number of images.

    A torn last line, any other that this program has not written, and values that are not numbers are passed over.
    """
    lines = []
    for text in path.read_text(errors="replace").splitlines() if path.is_file() else []:
        try:
            line = parse_json(text[: LONGEST_LINE + 1])
        except ValueError:
            continue
        if isinstance(line, dict) and is_number(line.get("images")) and isinstance(line["images"], int):
            lines.append({name: value for name, value in line.items() if is_number(value)})
    return lines


def is_number(value: object) -> bool:
    """Of 64 bits; JSON has longer ones, which no float holds."""
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63)


def cut_metrics(path: Path, images: int) -> None:
    """Drop what was logged after `images`: it will be logged again."""
    kept = [line for line in read_metrics(path) if line["images"] <= images]
    write_atomically(path, lambda file: file.write("".join(json.dumps(line) + "\n" for line in kept).encode()))


def objective(run: Path, name: str, mode: str) -> float:
    """The "best" (smallest) or "last" logged value of `name` since training began; inf where there is none, or where it
    is not finite."""
    values = [line[name] for line in read_metrics(run / METRICS) if name in line and line["images"] > 0]
    finite = [value if math.isfinite(value) else math.inf for value in values] or [math.inf]
    return min(finite) if mode == "best" else finite[-1]
