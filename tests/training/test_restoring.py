"""Training does not resume from a checkpoint with damaged states, and says so in one line."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gan.run import checkpoints
from gan.run.checkpoint_file import load
from gan.training.restoring import check_like, check_optimizers, damage
from tests.conftest import Train

Change = Callable[[dict[str, Any]], Any]


def put(*path: Any, value: Any) -> Change:
    def change(checkpoint: Any) -> None:
        for name in path[:-1]:
            known = name in checkpoint if isinstance(checkpoint, dict) else True
            checkpoint = checkpoint[name if known else next(each for each in checkpoint if each.startswith(name))]
        last = path[-1]
        if isinstance(checkpoint, dict):
            last = next((each for each in checkpoint if str(each).startswith(str(last))), last)
        checkpoint[last] = value

    return change


READY = ("loops", "fit_loop", "epoch_loop.batch_progress", "total", "ready")
DAMAGED: list[tuple[str, Change]] = [
    ("Threads", put("callbacks", "Threads", value={"threads": 1, "seconds": "abc"})),
    ("Threads", put("callbacks", "Threads", value=[1])),
    ("TrainingTime", put("callbacks", "TrainingTime", "other", value=[1])),
    ("Evaluate", put("callbacks", "Evaluate", "notes", value=5)),
    ("Evaluate", put("callbacks", "Evaluate", "scores", value={"eval/kid": "x"})),
    ("StopWhenFlat", put("callbacks", "StopWhenFlat", "scores", value=[("a", "b")])),
    ("Checkpoint", put("callbacks", "Checkpoint", "best_score", value="x")),
    ("Health", put("callbacks", "Health", "bad", value=5)),
    ("loops", put("loops", value={})),
    ("loops", put(*READY, value="x")),
    ("loops", put("loops", "fit_loop", "epoch_loop.batch_progress", value=3)),
    ("the data", put("ImageDataModule", value={"x": "y"})),
    ("the data", put("ImageDataModule", value=7)),
    ("optimizer_states", put("optimizer_states", 0, "state", 0, "step", value="x")),
    ("optimizer_states", put("optimizer_states", 0, "state", 0, "exp_avg", value=torch.zeros(4))),
    ("optimizer_states", put("optimizer_states", value=[])),
    ("the optimizers", put("optimizer_states", 0, "param_groups", value=[])),
    ("pending", put("pending", value={"a": "b"})),
]


def test_errors_of_training_keep_their_traceback() -> None:
    try:
        {}["loss"]
    except KeyError as error:
        assert damage(error, "x.ckpt") is None


def test_the_number_of_optimizers_and_the_types_and_shapes_of_states_are_checked() -> None:
    whole: list[Any] = [{"state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(3)}}}] * 2
    parameters = [[torch.zeros(3)]] * 2
    check_optimizers(whole, parameters)
    other = {"state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(4)}}}
    for states in (whole[:1], [], [{"state": {0: {"step": "x"}}}] * 2, [*whole[:1], other]):
        with pytest.raises(ValueError, match="optimizer"):
            check_optimizers(states, parameters)
    check_like({"ready": 3, "more": "x"}, {"ready": 0})
    with pytest.raises(ValueError, match="int"):
        check_like({"total": {"ready": "x"}}, {"total": {"ready": 0}})


@pytest.mark.slow
def test_a_damaged_state_is_refused_in_one_line(train: Train, tmp_path: Path) -> None:
    train("images=16", "hydra.run.dir=whole", "stop=flat")
    for number, (name, change) in enumerate(DAMAGED):
        shutil.copytree(tmp_path / "whole", tmp_path / str(number))
        path = checkpoints.checkpoint_path(tmp_path / str(number), 16)
        checkpoint = load(path)
        change(checkpoint)
        torch.save(checkpoint, path)
        record = json.loads(checkpoints.sidecar(path).read_text())
        record |= {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
        checkpoints.sidecar(path).write_text(json.dumps(record))
        error = train(f"resume={number}", "images=24", check=2).stderr
        assert error.count("\n") == 1, error
        assert f"{path.name}: training cannot be resumed: the state of {name} is damaged" in error
