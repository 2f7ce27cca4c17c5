"""The callbacks that end a run early because of its scores: what conf/stop selects."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lightning import Callback, Trainer

from gan.common.output import print_line
from gan.training.callbacks.evaluate import last_scores
from gan.training.module import GAN

Score = tuple[int, float]  # images seen, score


class Stop(Callback):
    """Keeps the scores of a run, and ends the run after an evaluation if `reason` returns one. Lower scores are better.

    It must come after Evaluate in the list of callbacks, and before those that act at the end of a run.

    Args:
        monitor: logged name of the score.
    """

    name = ""  # of its file in conf/stop

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor
        self.scores: list[Score] = []

    def reason(self, trainer: Trainer) -> str:
        """Return why the run ends, after the name of the score, on all ranks; empty if it goes on."""
        raise NotImplementedError

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        score = last_scores(trainer).get(self.monitor, math.nan)  # the same on all ranks
        if not math.isfinite(score) or pl_module.images_seen == 0:
            return
        self.scores.append((pl_module.images_seen, score))
        if trainer.should_stop or trainer.global_step == trainer.max_steps:
            return
        if reason := self.reason(trainer):
            print_line(f"stop={self.name}: {self.monitor} {reason}; the run ends at {pl_module.images_seen:,} images")
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"scores": self.scores, "monitor": self.monitor}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        if state_dict["monitor"] == self.monitor:
            self.scores = [(int(images), float(score)) for images, score in state_dict["scores"]]
