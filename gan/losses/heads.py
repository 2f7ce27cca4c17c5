"""How a loss meets a discriminator with one head or several."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Sliced(NamedTuple):
    """Logits of SAN's head, the same numbers (N,) twice; with no more said, the first are meant."""

    function: Tensor  # has gradients for the features, none for the direction of the last layer
    direction: Tensor  # the other way round


def heads(logits: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    """The logits of each head."""
    if isinstance(logits, Sliced):
        return (logits.function,)
    return (logits,) if isinstance(logits, Tensor) else logits


def over_heads(term: Callable[..., Tensor], *logits: Tensor | Sequence[Tensor]) -> Tensor:
    """Average `term` within each head and sum over the heads, in fp32 or better.

    Args:
        term: elementwise function of one tensor an argument.
        logits: for each argument of `term` a tensor (N, ...) or a sequence of such, one a head.
    """
    each = zip(*map(heads, logits), strict=True)
    return functools.reduce(torch.add, [term(*map(at_least_fp32, head)).mean() for head in each])


def per_image(logits: Tensor | Sequence[Tensor]) -> Tensor:
    """What D says of each image, (N,) in fp32 or better: averaged within a head and summed over the heads."""
    return torch.stack([at_least_fp32(head).reshape(len(head), -1).mean(1) for head in heads(logits)]).sum(0)


def at_least_fp32(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
