"""End a run whose score no longer improves."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from lightning import Trainer

from gan.common import errors
from gan.common.errors import at_least
from gan.training.callbacks.stop import Score, Stop


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
    begin = min(len(scores) - patience, first_after(scores, (1 - fraction) * scores[-1][0]))
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


def first_after(scores: Sequence[Score], images: float) -> int:
    """Return the index of the first evaluation after a number of images."""
    return next((index for index, (seen, _) in enumerate(scores) if seen > images), len(scores))
