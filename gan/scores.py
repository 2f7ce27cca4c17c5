"""What the scores of models mean, above all whether lower or higher values are better. No torch.

The configuration of a metric describes its values as `_scores_`, in conf/metric and in each run that computes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Score(NamedTuple):
    """What a number means. `better` is "lower", "higher", or "" if neither direction is better."""

    title: str
    better: str = ""
    digits: int = 3


OTHERS = {  # scores that no metric of conf/metric computes: the rate of copies, and those of translators
    "copies": Score("copies", "lower"),
    "gain": Score("gain", "higher"),
    "ciede2000": Score("ΔE00", "lower", 2),
    "psnr": Score("PSNR", "higher", 2),
    "ssim": Score("SSIM", "higher"),
    "perceptual": Score("perceptual", "lower", 4),
    "kid_target_x1000": Score("KID to target", "lower", 1),
    "kid_source_x1000": Score("KID to source", "", 1),
    "luminance_correlation": Score("lum. corr."),  # dots and lines lower it, and should
    "luminance_ssim": Score("lum. SSIM"),
}


def described(metrics: object) -> dict[str, Score]:
    """Return the meaning of all scores by name, from the configurations of metrics, which may be a stranger's."""
    scores: dict[str, Score] = {}
    for name, config in metrics.items() if isinstance(metrics, Mapping) else ():
        values = config.get("_scores_") if isinstance(config, Mapping) else None
        values = values if isinstance(values, Mapping) else {name: [name]}
        scores |= {value: Score(*text[:3]) for value, text in values.items() if isinstance(text, Sequence) and text}
    return scores | OTHERS


def meaning(logged: str, scores: Mapping[str, Score]) -> Score:
    """Return the meaning of a score as it is logged, such as eval/kid_x1000_lite0, among those of `described`."""
    name = logged.removeprefix("eval/")
    fitting = [begin for begin in scores if name == begin or name.startswith(f"{begin}_")]
    return scores[max(fitting, key=len)] if fitting else Score(name)


def sign(logged: str, config: Mapping[str, Any]) -> int:
    """Return the factor with which a score is to be minimized: -1 if higher values are better, otherwise 1.

    Args:
        config: of the run, whose metrics say it.
    """
    return -1 if meaning(logged, described(config.get("metric"))).better == "higher" else 1
