"""Read a shared model as the content of a checkpoint, so that all checks of checkpoints apply to it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from gan.common.errors import UserError
from gan.common.output import one_line
from gan.common.untrusted import read_tensors
from gan.run import checkpoint_file
from gan.run.shared_model import CONFIG, NETWORKS, read_about

EMA = "ema.module."  # prefix of the generator in checkpoints
COUNTS = "class_counts"


def load(path: Path) -> dict[str, Any]:
    """Return the content of a shared model as that of a checkpoint, from the path of its model.safetensors.

    The keys "shared" and "kind" show that it is a shared model. BatchNorm's statistics are final.

    Raises:
        UserError: a file is missing, damaged, or not written by `gan share`.
    """
    about = read_about(path.parent)
    weights, _ = read_tensors(path)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != about["sha256"]:
        raise UserError(f"{path}: damaged; its checksum differs from the one in {CONFIG}; copy or download it again")
    known = tuple(f"{role}." for role in NETWORKS if role in about["model"])
    if extra := [name for name in weights if name != COUNTS and not name.startswith(known)]:
        raise UserError(f"{path}: has an unexpected {one_line(extra[0][:200])}; {CONFIG} describes no such part")
    names = {name: name.replace("generator.", EMA, 1) if name.startswith("generator.") else name for name in weights}
    state = {
        "format": checkpoint_file.FORMAT,
        "state_dict": {names[name]: value for name, value in weights.items()},
        "config": {name: about[name] for name in ("seed", "data", "model")},
        "images": about["images"],
        "classes": about["classes"],
        "shared": True,
        "kind": about["kind"],
    }
    checkpoint_file.check_content(state, path)
    return state
