"""The run folder on disk: what is in it, and how anything is written there. No torch, so that commands start at once.

runs/NAME/  config.yaml          the resolved configuration
            overrides.yaml       what was typed
            environment.jsonl    one line a start: git revision, package versions, machine
            metrics.jsonl        one line a logged step, against images seen; beside TensorBoard's events
            evaluation.jsonl     one line a number that gan evaluate has measured
            samples/             reals.png, and a grid of fixed latents by images seen
            recognition/         what gan recognise fit has learnt with the discriminator
            checkpoints/         images-000012800.ckpt with its .json (SHA-256, images), and best.json
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import yaml

from gan.errors import UserError

CONFIG = "config.yaml"
OVERRIDES = "overrides.yaml"
ENVIRONMENT = "environment.jsonl"
METRICS = "metrics.jsonl"
EVALUATION = "evaluation.jsonl"
CHECKPOINTS = "checkpoints"
SAMPLES = "samples"
RECOGNITION = "recognition"


def revision() -> str | None:
    """Git revision of this checkout, with "-dirty" where it was changed; None outside of git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() if found.returncode == 0 else None


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file whole or not at all, even if the machine stops: temporary file beside it, fsync, replace, fsync.

    Raises:
        OSError: the disk is full or the folder cannot be written; what was there before is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    short = hashlib.blake2b(os.fsencode(path.name), digest_size=8).hexdigest()  # a name may be as long as names can be
    temporary = path.with_name(f".{short}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_json(path: Path, value: Any) -> None:
    write_atomically(path, lambda file: file.write(json.dumps(value, indent=1).encode() + b"\n"))


def checkpoint_path(run: Path, images: int) -> Path:
    return run / CHECKPOINTS / f"images-{images:09d}.ckpt"


def sidecar(checkpoint: Path) -> Path:
    """The file beside a checkpoint that holds its SHA-256, bytes and images; it is written first."""
    return checkpoint.with_suffix(".json")


def checkpoints(run: Path) -> list[Path]:
    """Checkpoints of a run, oldest first, whole or not."""
    return sorted((run / CHECKPOINTS).glob("images-*.ckpt"))


def damage(checkpoint: Path) -> str | None:
    """Why a checkpoint is not what was saved, or None if it is."""
    try:
        expected = json.loads(sidecar(checkpoint).read_text())
        with open(checkpoint, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (OSError, ValueError) as error:
        return f"it cannot be read ({error})"
    return None if digest == expected.get("sha256") else "its checksum differs from the one saved with it"


def newest(run: Path, say: Callable[[str], None]) -> Path | None:
    """The newest whole checkpoint; damaged ones are passed over and said."""
    for checkpoint in reversed(checkpoints(run)):
        reason = damage(checkpoint)
        if reason is None:
            return checkpoint
        say(f"{checkpoint}: damaged, {reason}; going back to the one before")
    return None


def best(run: Path) -> Path | None:
    """The checkpoint with the best score so far, if there has been an evaluation."""
    try:
        return run / CHECKPOINTS / str(json.loads((run / CHECKPOINTS / "best.json").read_text())["checkpoint"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{run / CHECKPOINTS / 'best.json'}: cannot be read ({error}); use checkpoint=last") from error


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
    """Images seen at a checkpoint, from the file beside it."""
    return int(json.loads(sidecar(checkpoint).read_text())["images"])


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """{"data.size": 64, ...} of nested dicts; an empty dict is a leaf."""
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree}
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves.update(flatten(value, f"{prefix}.{key}" if prefix else str(key)))
    return leaves


def choices(run: Path) -> dict[str, str | float | bool]:
    """What was typed for a run and makes it differ from the defaults, by option."""
    words = yaml.safe_load((run / OVERRIDES).read_text()) if (run / OVERRIDES).exists() else None
    pairs = (word.lstrip("+~").partition("=") for word in words or [])
    typed = {
        name: yaml.safe_load(value) for name, _, value in pairs if not name.startswith(("hydra", "logger", "callback"))
    }
    return {name: value if isinstance(value, int | float | str) else str(value) for name, value in typed.items()}


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl; a torn last line is passed over."""
    lines = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return lines


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
