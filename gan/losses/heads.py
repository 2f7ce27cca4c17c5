"""Reduce the logits of discriminators with one or several heads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Logits = Tensor | Sequence[Tensor]


def heads(logits: Logits) -> Sequence[Tensor]:
    return (logits,) if isinstance(logits, Tensor) else logits


def over_heads(term: Callable[..., Tensor], *logits: Logits) -> Tensor:
    """Return the mean of `term` within each head, summed over the heads, in fp32 or float64.

    Args:
        term: elementwise function. Its arguments are the entries of `logits`.
        logits: one tensor (N, ...) per argument of `term`, or a sequence with one tensor per head.
    """
    each = zip(*map(heads, logits), strict=True)
    return functools.reduce(torch.add, [term(*map(at_least_fp32, head)).mean() for head in each])


def per_image(logits: Logits) -> Tensor:
    """Return one logit per image (N,), in fp32 or float64: the mean within each head, summed over the heads."""
    return torch.stack([at_least_fp32(head).reshape(len(head), -1).mean(1) for head in heads(logits)]).sum(0)


def at_least_fp32(x: Tensor) -> Tensor:
    """Return fp16 and bf16 tensors as fp32, other tensors unchanged."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
