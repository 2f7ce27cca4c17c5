"""Degenerate sets of features: metrics return a number or raise a one-line error, without warnings."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gan.evaluation import registry
from gan.evaluation.tables import measure
from gan.metrics.frechet_distance import frechet_distance
from gan.metrics.kid import squared_mmd
from gan.metrics.prdc import prdc
from gan.utils.errors import UserError

NORMAL = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
FEATURES: dict[str, Tensor] = {
    "normal": NORMAL,
    "none": NORMAL[:0],
    "one": NORMAL[:1],
    "two": NORMAL[:2],
    "two equal": NORMAL[:1].expand(2, 6),
    "constant": torch.ones(40, 6),
    "zero": torch.zeros(40, 6),
    "nan": torch.full((40, 6), torch.nan),
    "one nan": torch.where(torch.arange(40)[:, None] == 3, torch.nan, NORMAL),
    "inf": torch.full((40, 6), torch.inf),
    "huge": NORMAL * 1e38,
    "beyond": NORMAL.double() * 1e200,
    "tiny": NORMAL * 1e-40,
    "no numbers": NORMAL[:, :0],
    "flat": torch.zeros(40),
    "one number": torch.ones(40, 1),
    "whole": torch.ones(40, 6, dtype=torch.int64),
}
DISTANCES: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "fd": frechet_distance,
    "kid": squared_mmd,
    "kid matched": lambda x, y: squared_mmd(x[: len(y)], y[: len(x)], matched=True),
    "prdc": prdc,
    "all": lambda x, y: measure(registry.create(registry.registered()), x, y),
}


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [float(each) for each in value.values()]
    return torch.as_tensor(value, dtype=torch.float64).flatten().tolist()


def is_said(function: Callable[..., Any], *sets: Tensor) -> None:
    try:
        assert all(map(math.isfinite, numbers(function(*sets))))
    except UserError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("distance", DISTANCES)
def test_features(distance: str) -> None:
    for x, y in itertools.product(FEATURES.values(), repeat=2):
        is_said(DISTANCES[distance], x, y)
