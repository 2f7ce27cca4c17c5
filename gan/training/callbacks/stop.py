"""The callbacks that end a run early because of its scores: what conf/stop selects."""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer

from gan.runs import run_folder
from gan.runs.metrics import read_metrics
from gan.training.callbacks.evaluate import last_scores
from gan.training.module import GAN
from gan.utils import errors
from gan.utils.errors import UserError, at_least, install
from gan.utils.output import print_line

Score = tuple[int, float]  # images seen, score
Scores = dict[int, float]  # scores by images seen


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


class StopWhenFlat(Stop):
    """Ends the run when the best score has not improved by more than noise for a number of evaluations.

    The noise is the median change between two successive scores. A score that falls steadily improves by several of
    these changes, so the run goes on; a score that only fluctuates does not.

    Args:
        monitor: logged name of the score.
        patience: number of the newest evaluations among which the score must have improved. A run has at least twice
            as many evaluations, without that of the untrained network.
        fraction: the newest evaluations also cover at least this fraction of the images seen.
    """

    name = "flat"

    def __init__(self, monitor: str, patience: int = 5, fraction: float = 0.25) -> None:
        super().__init__(monitor)
        self.patience = at_least("stop.patience", patience, 2)
        self.fraction = errors.fraction("stop.fraction", fraction, below_one=True)

    def reason(self, trainer: Trainer) -> str:
        return describe_flat(self.scores, self.patience, self.fraction)


def describe_flat(scores: Sequence[Score], patience: int, fraction: float) -> str:
    """Return how long the best score has not improved by more than noise; empty if it improves, or scores are too few.

    Args:
        scores: images seen and score of all evaluations, in order.
        patience, fraction: see `StopWhenFlat`.
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
    images, best = min(before, key=lambda score: score[1])
    gain = best - min(score for _, score in newest)
    if gain > noise:
        return ""
    return (
        f"has not improved by more than {noise:.3g} since {best:.4g} at {images:,} images, in {len(newest)} evaluations"
    )


class Prune(Stop):
    """Ends a job of a sweep when a pruner of Optuna says so.

    The scores of the other jobs are read from their metrics.jsonl, so they may run in other processes and on other
    machines. To the pruner, a job that has seen at least as many images as this one is complete, even if it still runs.

    Args:
        run: the run folder, in the folder of the sweep.
        monitor: logged name of the score.
        pruner: an `optuna.pruners.BasePruner`.
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
        newest, others = self.scores[-1][0], []
        for path in sorted(self.run.parent.glob(f"*/{run_folder.METRICS}")):
            lines = read_metrics(path) if path.parent != self.run else []
            scores = {line["images"]: line[self.monitor] for line in lines if self.monitor in line}
            scores = {images: score for images, score in scores.items() if images and math.isfinite(score)}
            if scores and max(scores) >= newest:
                others.append(scores)
        return others


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
