"""The metrics that training and `gan evaluate` compute, and what all scores mean. No torch.

The registry of metrics is conf/metric. A file there names the class of a metric and describes its values. Tables,
reports and model cards take titles and directions from it.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from gan.config.paths import group_files
from gan.utils.errors import UserError


class Score(NamedTuple):
    """What a number means. `better` is "lower", "higher" or, for a number that is neither, an empty string."""

    title: str
    better: str = ""
    digits: int = 3


class Row(NamedTuple):
    """One row of a table. `values` omits metrics that need more images."""

    name: str
    images: int
    real: int
    values: dict[str, float]


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


def registered() -> dict[str, dict[str, Any]]:
    """Return the configurations of all metrics by name, also those of --config-dir."""
    found: dict[str, dict[str, Any]] = {}
    for path in group_files("metric"):
        found |= yaml.safe_load(path.read_text("utf-8"))
    return found


@functools.cache
def scores() -> dict[str, Score]:
    """Return the meaning of all scores by name."""
    described: dict[str, Score] = {}
    for name, config in registered().items():
        values = config.get("_scores_", {name: [name]})
        described |= {value: Score(*description) for value, description in values.items()}
    return described | OTHERS


def meaning(logged: str) -> Score:
    """Return the meaning of a score as it is logged, such as eval/kid_x1000_lite0."""
    name = logged.removeprefix("eval/")
    fitting = [begin for begin in scores() if name == begin or name.startswith(f"{begin}_")]
    return scores()[max(fitting, key=len)] if fitting else Score(name)


def create(metrics: Mapping[str, Any]) -> list[Any]:
    """Return metrics from their configurations; a metric in place of a configuration is returned as it is."""
    from gan import contracts  # imports torch

    created = {name: _created(name, one) if isinstance(one, Mapping) else one for name, one in metrics.items()}
    for name, metric in created.items():
        contracts.check(metric, contracts.Metric, f"metric={name}")
    return list(created.values())


def _created(name: str, config: Mapping[str, Any]) -> Any:
    module, _, kind = str(config["_target_"]).rpartition(".")
    options = {option: value for option, value in config.items() if not option.startswith("_")}
    try:
        return getattr(importlib.import_module(module), kind)(**options)
    except (ImportError, AttributeError, TypeError) as error:
        raise UserError(f"metric={name}: {config['_target_']} cannot be created ({error})") from error


def compute(metric: Any, real: Any, fake: Any, files: Any = (None, None)) -> dict[str, float]:
    """Return the values of a metric by name. `files` are passed if its `compute` has such an argument."""
    options = {"files": files} if "files" in inspect.signature(metric.compute).parameters else {}
    return metric.compute(real, fake, **options)
