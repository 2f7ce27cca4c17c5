"""End a run early because of its scores: what `stop=flat` and `stop=pruned` select."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from lightning import Callback, Trainer

from gan import scores
from gan.config.search import is_pruned
from gan.training.callbacks.loop import last_evaluation
from gan.training.module import GAN
from gan.utils import errors
from gan.utils.errors import at_least
from gan.utils.output import print_line

Score = tuple[int, float]  # images seen, score


class ScoreStop(Callback):
    """Ends the run for a reason that follows from its scores, without that of the untrained network.

    It must come after Evaluate in the list of callbacks, and before those that act at the end of a run.
    """

    name = ""  # option of `stop`

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor
        self.scores: list[Score] = []
        self.sign = 1  # -1 if higher scores are better

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        self.sign = scores.sign(self.monitor, pl_module.config)

    def reason(self) -> str:
        """Return why the run should end; empty if it should go on."""
        raise NotImplementedError

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        evaluation = last_evaluation(trainer)
        score = evaluation.scores.get(self.monitor, math.nan) if evaluation else math.nan  # the same on all ranks
        if not math.isfinite(score) or pl_module.images_seen == 0:
            return
        self.scores.append((pl_module.images_seen, score))
        if trainer.should_stop or trainer.global_step == trainer.max_steps:
            return
        if reason := self.reason():
            print_line(f"stop={self.name}: {self.monitor} {reason}; the run ends at {pl_module.images_seen:,} images")
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"scores": self.scores, "monitor": self.monitor}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        if state_dict["monitor"] == self.monitor:
            self.scores = [(int(images), float(score)) for images, score in state_dict["scores"]]


class StopWhenFlat(ScoreStop):
    """Ends the run when the best score has not improved by more than noise for a number of evaluations.

    The noise is the median change between two successive scores. A score that improves steadily gains several of
    these changes, so the run goes on; a score that only fluctuates does not.

    A run has at least 2 `patience` evaluations. conf/stop describes the options.
    """

    name = "flat"

    def __init__(self, monitor: str, patience: int = 5, fraction: float = 0.25) -> None:
        super().__init__(monitor)
        self.patience = at_least("stop.patience", patience, 2)
        self.fraction = errors.fraction("stop.fraction", fraction, below_one=True)

    def reason(self) -> str:
        return describe_flat(self.scores, self.patience, self.fraction, self.sign)


class StopWhenPruned(ScoreStop):
    """Ends a job of `search=optuna` when the pruner of the search says so. Runs on several devices are not pruned."""

    name = "pruned"

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        super().on_train_start(trainer, pl_module)
        self.alone = trainer.world_size == 1

    def reason(self) -> str:
        pruned = self.alone and is_pruned(len(self.scores), self.scores[-1][1])
        return "is worse than in earlier jobs" if pruned else ""


def describe_flat(scores: Sequence[Score], patience: int, fraction: float, sign: int = 1) -> str:
    """Return how long the best score has not improved by more than noise; empty if it has, or scores are too few.

    Args:
        sign: -1 if higher scores are better.
    """
    if len(scores) < 2 * patience:
        return ""
    recent = (1 - fraction) * scores[-1][0]  # images
    first_recent = next((index for index, (seen, _) in enumerate(scores) if seen > recent), len(scores))
    begin = min(len(scores) - patience, first_recent)
    before, newest = scores[:begin], scores[begin:]
    if len(before) < patience:
        return ""
    noise = statistics.median(abs(b - a) for (_, a), (_, b) in zip(scores[begin - 1 :], newest, strict=False))
    images, best = min(before, key=lambda score: sign * score[1])
    gain = sign * best - min(sign * score for _, score in newest)
    if gain > noise:
        return ""
    since = f"since {best:.4g} at {images:,} images, in {len(newest)} evaluations"
    return f"has not improved by more than {noise:.3g} {since}"
