"""The run folder: its layout, its configuration and its overrides. No torch, so that commands start quickly.

runs/NAME/  config.yaml          the resolved configuration
            overrides.yaml       the overrides of the command line
            environment.jsonl    one line per start: git revision, package versions, machine
            metrics.jsonl        one line per logged step, against images seen; TensorBoard's events have the same
            evaluation.jsonl     one line per number that gan evaluate has measured
            samples/             reals.png, and a grid of fixed latents for each logged number of images seen
            recognition/         the classifier that gan recognize fit has trained
            checkpoints/         images-000012800.ckpt with a .json (SHA-256, images, the best so far), and best.json
            .lock                the process that trains into the folder (`gan.run.lock`)

A run folder may be untrusted: reading is limited and checked, and no name in it leads out of the folder.
`gan.run.checkpoints` handles checkpoints, `gan.run.metrics` the log.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from gan.common.errors import UserError
from gan.common.untrusted import read_yaml

CONFIG = "config.yaml"
OVERRIDES = "overrides.yaml"
ENVIRONMENT = "environment.jsonl"
METRICS = "metrics.jsonl"
EVALUATION = "evaluation.jsonl"
CHECKPOINTS = "checkpoints"
SAMPLES = "samples"
RECOGNITION = "recognition"
LOCK = ".lock"
DECISION = ".decision.json"  # of rank 0, for the other ranks


def refuse_links(run: Path) -> None:
    """Raise UserError if a part of a run folder is a link: training would write, prune or remove its target."""
    for name in (CONFIG, OVERRIDES, ENVIRONMENT, METRICS, EVALUATION, CHECKPOINTS, SAMPLES):
        if (run / name).is_symlink():
            raise UserError(
                f"{run / name}: is a link; replace it with the file or folder itself, or link the whole run folder"
            )


def read_config(run: Path) -> dict[str, Any]:
    """The configuration of a run.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    path = run / CONFIG
    try:
        found = read_yaml(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; is {run} a run folder?") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise UserError(f"{path}: is not the configuration of a run")
    return found


def read_choices(run: Path) -> dict[str, str | float | bool]:
    """The overrides of a run by option, without those of Hydra, loggers and callbacks."""
    words = read_yaml(run / OVERRIDES) if (run / OVERRIDES).exists() else None
    pairs = (word.lstrip("+~").partition("=") for word in words or [])
    typed = {
        name: yaml.safe_load(value) for name, _, value in pairs if not name.startswith(("hydra", "logger", "callback"))
    }
    return {name: value if isinstance(value, int | float | str) else str(value) for name, value in typed.items()}
