"""The checkpoints of a run folder: names, integrity, selection, repair and removal. No torch.

images-000012800.ckpt has the sidecar images-000012800.json, which training writes first. It also names the best
checkpoint so far.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gan.runs.run_folder import CHECKPOINTS, SAMPLES
from gan.utils.errors import UserError, path_hint, resume_command
from gan.utils.files import TEMPORARY, is_alive, replace, temporary
from gan.utils.output import print_line
from gan.utils.untrusted import read_json

BEST_STATE = "record"  # key of the record of the best checkpoint in the state of `gan.training.callbacks.checkpoint`
SELECTED = ("best", "last")  # checkpoints of a run that are selected by these words
CHECKPOINT = re.compile(r"images-\d{9,18}\.ckpt")  # file name of a checkpoint


def checkpoint_path(run: Path, images: int) -> Path:
    return run / CHECKPOINTS / f"images-{images:09d}.ckpt"


def sidecar(checkpoint: Path) -> Path:
    """Return the path of the sidecar of a checkpoint, which has its SHA-256, bytes and images."""
    return checkpoint.with_suffix(".json")


def read_sidecar(checkpoint: Path) -> dict[str, Any]:
    """Return the sidecar of a checkpoint: sha256, bytes, images, and optionally seconds and best.

    Raises:
        OSError: the sidecar cannot be read.
        ValueError: the sidecar was not written by this program.
    """
    content = read_json(sidecar(checkpoint))
    types = {"sha256": str, "images": int, "bytes": int | None, "seconds": int | float | None, "best": dict | None}
    if not isinstance(content, dict) or not all(isinstance(content.get(name), kind) for name, kind in types.items()):
        raise ValueError(f"{sidecar(checkpoint).name} was not written by this program")
    return {"best": None} | content


def list_checkpoints(run: Path) -> list[Path]:
    return sorted(path for path in (run / CHECKPOINTS).glob("images-*.ckpt") if CHECKPOINT.fullmatch(path.name))


def is_complete(checkpoint: Path) -> bool:
    """Return whether a checkpoint and its sidecar exist and its size is correct; `find_damage` compares checksums."""
    try:
        expected = read_sidecar(checkpoint)
        return checkpoint.stat().st_size == expected.get("bytes", checkpoint.stat().st_size)
    except (OSError, ValueError):
        return False


def find_damage(checkpoint: Path) -> str | None:
    """Return what is wrong with a checkpoint file; None if it is undamaged."""
    try:
        expected = read_sidecar(checkpoint)
        with open(checkpoint, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (OSError, ValueError) as error:
        return f"it cannot be read ({error})"
    return None if digest == expected["sha256"] else "its checksum differs from the saved one"


def images_of(checkpoint: Path) -> int:
    """Return the number of images seen at a checkpoint, from its sidecar; raise UserError if that is damaged."""
    try:
        return int(read_sidecar(checkpoint)["images"])
    except (OSError, ValueError) as error:
        raise UserError(f"{sidecar(checkpoint)}: cannot be read ({error})") from error


# ---- selection


def find_checkpoint(run: str | os.PathLike[str], checkpoint: str = "best") -> Path:
    """Return the path of a checkpoint of a run.

    Args:
        run: a run folder or a checkpoint file.
        checkpoint: "best" (the last one if there was no evaluation), "last", or the path of a file.

    Raises:
        UserError: the run or the checkpoint does not exist, or all checkpoints are damaged.
    """
    if not isinstance(run, str | os.PathLike):
        raise UserError(f"run={run!r}: is not a path")
    folder = Path(run)
    if folder.is_file():
        return folder
    if checkpoint not in SELECTED:
        return existing(checkpoint)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such run folder; a look is written look:NAME")
    candidates = list_checkpoints(folder)[::-1]
    if checkpoint == "best" and (path := best(folder)) in candidates:
        candidates = [path, *(each for each in candidates if each != path)]
    return first_undamaged(folder, candidates)


def how_to_continue(run: Path) -> str:
    """Return the end of a message about this run, which was stopped: the command that continues it."""
    if not list_checkpoints(run):
        return "no checkpoint was saved; start it again"
    return f"continue with: {resume_command(run)}"


def existing(checkpoint: str) -> Path:
    if not Path(checkpoint).is_file():
        raise UserError(f"checkpoint {checkpoint}: no such file; give best, last or a path{path_hint(checkpoint)}")
    return Path(checkpoint)


def first_undamaged(run: Path, candidates: Sequence[Path]) -> Path:
    """Return the first undamaged one of some checkpoints, and print a line for each damaged one before it."""
    damaged: dict[str, str] = {}
    for path in candidates:
        reason = find_damage(path)
        if reason is None:
            for name, why in damaged.items():
                print_line(f"{run}: {name} is damaged ({why}); using {path.name}")
            return path
        damaged[path.name] = reason
    if not damaged:
        raise UserError(f"{run}: no checkpoint in {CHECKPOINTS}/; is it a run folder?")
    name, reason = next(iter(damaged.items()))
    raise UserError(f"{run}: no undamaged checkpoint; {name} is damaged ({reason})")


def best(run: Path) -> Path | None:
    """Return the checkpoint with the best score so far; None if there was no evaluation."""
    record = best_record(run)
    return run / CHECKPOINTS / record["checkpoint"] if record else None


def best_record(run: Path) -> dict[str, Any] | None:
    """Return the record of the best checkpoint: checkpoint (a file name), images, monitor, score.

    It is in the sidecar of the newest complete checkpoint. None if there was no evaluation.
    """
    complete = next((path for path in reversed(list_checkpoints(run)) if is_complete(path)), None)
    record = read_sidecar(complete)["best"] if complete else None
    if record is not None and not CHECKPOINT.fullmatch(str(record.get("checkpoint"))):
        raise UserError(f"{run}: its best checkpoint is not one of this run; use checkpoint=last")
    return record


# ---- repair and removal; the caller holds the folder's lock


def repair(run: Path) -> Path | None:
    """Clean up after a killed process, and return the newest undamaged checkpoint.

    Remove partial files, and move damaged checkpoints aside. Checksums are computed from the newest
    checkpoint down to the first undamaged one; older checkpoints are compared by size only.
    """
    folder = run / CHECKPOINTS
    for path in (*run.glob(".*.tmp"), *folder.glob(".*.tmp"), *(run / SAMPLES).glob(".*.tmp")):
        found = TEMPORARY.fullmatch(path.name)
        if found and not (path.parent.name == SAMPLES and is_alive(int(found[1]))):  # gan evaluate writes there too
            path.unlink(missing_ok=True)
    for path in folder.glob("images-*.json"):
        if not path.with_suffix(".ckpt").exists():
            path.unlink(missing_ok=True)
    undamaged, damaged = None, []
    for path in reversed(list_checkpoints(run)):
        if undamaged is None and (reason := find_damage(path)):
            print_line(f"{path}: damaged, {reason}; using the previous one")
            damaged.append(path)
        elif not is_complete(path):
            damaged.append(path)
        else:
            undamaged = undamaged or path
    if undamaged is not None and damaged:  # otherwise keep the damaged checkpoints, because there are no others
        print_line(f"moved damaged checkpoints to {set_aside(run, damaged)}")
    return undamaged


def set_aside(run: Path, paths: Iterable[Path]) -> Path:
    """Move checkpoints and their sidecars, or logs, into a new folder checkpoints/set-aside-TIME, and return it."""
    now = time.strftime("%Y%m%d-%H%M%S")
    names = (f"set-aside-{now}{end}" for end in ("", *(f"-{number}" for number in range(2, 1000))))
    aside = next(path for name in names if not (path := run / CHECKPOINTS / name).exists())
    aside.mkdir(parents=True)
    for path in paths:
        for each in (path, sidecar(path)):
            if each.exists():
                each.rename(aside / each.name)
    return aside


def set_aside_later(run: Path, images: int) -> None:
    """Move the checkpoints after `images` aside, because training resumes from `images`."""
    later = [path for path in list_checkpoints(run) if int(path.stem.removeprefix("images-")) > images]
    if later:
        print_line(f"moved later checkpoints to {set_aside(run, later)}")


def remove(checkpoint: Path) -> None:
    """Remove a checkpoint and its sidecar. An interruption leaves no partial checkpoint; `repair` removes the rest."""
    gone = temporary(checkpoint)
    if checkpoint.exists():
        replace(checkpoint, gone)
    sidecar(checkpoint).unlink(missing_ok=True)
    gone.unlink(missing_ok=True)
