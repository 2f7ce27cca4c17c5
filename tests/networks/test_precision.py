"""Precision of stages: half precision at the four largest resolutions, fp32 at the others and at the smallest grid."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gan.networks import r3gan, stylegan2
from gan.networks.precision import clamp_fp16, run_stage

DISCRIMINATORS = [r3gan.Discriminator, stylegan2.Discriminator]


@pytest.mark.parametrize(("halvings", "doublings", "half"), [(0, 6, True), (3, 6, True), (4, 6, False), (3, 3, False)])
def test_precision_of_a_stage(halvings: int, doublings: int, half: bool) -> None:
    layer, x = nn.Linear(3, 3), torch.ones(2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        y = run_stage(layer, x.bfloat16(), halvings, doublings)
    assert y.dtype == (torch.bfloat16 if half else torch.float32)


@pytest.mark.parametrize("network", DISCRIMINATORS)
def test_discriminators_end_in_fp32(network: type[nn.Module]) -> None:
    discriminator = network((64, 64), width=32)
    x = torch.rand(4, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        first, *_ = discriminator.features(x)  # type: ignore[operator]
        logits: Tensor = discriminator(x)
    assert first.dtype == torch.bfloat16 and logits.dtype == torch.float32
    torch.testing.assert_close(logits, discriminator(x), rtol=0.1, atol=0.05)


def test_only_fp16_is_clamped() -> None:
    for precision in (torch.float32, torch.bfloat16):
        x = torch.tensor([1e4], dtype=precision)
        assert clamp_fp16(x) is x
    assert clamp_fp16(torch.tensor([-1e4], dtype=torch.float16)).item() == -256
