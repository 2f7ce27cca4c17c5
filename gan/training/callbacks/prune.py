"""End a job of a sweep whose scores are worse than those of the other jobs at the same number of images."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lightning import Trainer

from gan.common.errors import UserError, install
from gan.run import run_folder
from gan.run.metrics import read_metrics
from gan.training.callbacks.stop import Score, Stop

Scores = dict[int, float]  # scores by images seen


class Prune(Stop):
    """Ends a job when a pruner of Optuna says so.

    The scores of the other jobs are read from their metrics.jsonl, so they may run in other processes and on other
    machines. To the pruner, a job that has seen at least as many images as this one is complete, even if it still runs.

    Args:
        run: the run folder, in the folder of the sweep.
        monitor: logged name of the score.
        pruner: an `optuna.pruners.BasePruner`.

    Raises:
        UserError: the run is not a job of a sweep, or Optuna is not installed.
    """

    name = "prune"

    def __init__(self, run: str, monitor: str, pruner: Any) -> None:
        super().__init__(monitor)
        self.run = Path(run)
        self.pruner = pruner
        if not (self.run.parent / run_folder.ROWS).is_dir():
            raise UserError("stop=prune compares the jobs of a sweep; add -m")

    def reason(self, trainer: Trainer) -> str:
        pruned = trainer.strategy.broadcast(trainer.is_global_zero and self.should_prune())
        return f"{self.scores[-1][1]:.4g} is worse than in other jobs" if pruned else ""

    def should_prune(self) -> bool:
        """Return whether the pruner ends this job."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(pruner=self.pruner)
        for scores in self.others():
            other = study.ask()
            report(other, at_images(scores, [images for images, _ in self.scores]).items())
            study.tell(other, min(scores.values()))
        trial = study.ask()
        report(trial, self.scores)
        return bool(trial.should_prune())

    def others(self) -> list[Scores]:
        """Return the scores of the other jobs that have seen at least as many images as this one."""
        newest, found = self.scores[-1][0], []
        for path in sorted(self.run.parent.glob(f"*/{run_folder.METRICS}")):
            lines = read_metrics(path) if path.parent != self.run else []
            scores = {line["images"]: line[self.monitor] for line in lines if self.monitor in line}
            scores = {images: score for images, score in scores.items() if images and math.isfinite(score)}
            if scores and max(scores) >= newest:
                found.append(scores)
        return found


def report(trial: Any, scores: Iterable[Score]) -> None:
    """Report scores to a trial of Optuna."""
    for images, score in scores:
        trial.report(score, images)


def at_images(scores: Scores, wanted: list[int]) -> Scores:
    """Return for each wanted number of images the newest score up to it, if there is one."""
    seen = sorted(scores)
    places = {images: bisect.bisect_right(seen, images) for images in wanted}
    return {images: scores[seen[place - 1]] for images, place in places.items() if place}


def median_pruner(**options: Any) -> Any:
    """Return `optuna.pruners.MedianPruner`."""
    try:
        from optuna.pruners import MedianPruner
    except ImportError:
        raise UserError(f"stop=prune needs Optuna; {install('sweep')}") from None
    return MedianPruner(**options)
