"""The metrics that training and `gan evaluate` compute. No torch.

The registry of metrics is conf/metric. A file there names the class of a metric and describes its values. Tables,
reports and model cards take titles and directions from it (`gan.scores`).
"""

from __future__ import annotations

import functools
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from gan import scores
from gan.config.paths import group_files
from gan.scores import Score
from gan.utils.errors import UserError


class Row(NamedTuple):
    """One row of a table. `values` omits metrics that need more images."""

    name: str
    images: int
    real: int
    values: dict[str, float]


def registered() -> dict[str, dict[str, Any]]:
    """Return the configurations of all metrics by name, also those of --config-dir."""
    found: dict[str, dict[str, Any]] = {}
    for path in group_files("metric"):
        found |= yaml.safe_load(path.read_text("utf-8"))
    return found


@functools.cache
def described() -> dict[str, Score]:
    return scores.described(registered())


def meaning(logged: str) -> Score:
    return scores.meaning(logged, described())


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
        return pkgutil.resolve_name(f"{module}:{kind}")(**options)
    except (ImportError, AttributeError, TypeError) as error:
        raise UserError(f"metric={name}: {config['_target_']} cannot be created ({error})") from error


def compute(metric: Any, real: Any, fake: Any, files: Any = (None, None)) -> dict[str, float]:
    options = {"files": files} if "files" in inspect.signature(metric.compute).parameters else {}
    return metric.compute(real, fake, **options)
