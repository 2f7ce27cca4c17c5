"""Weights stored in fp16 and used in fp32, which halves the size of files and is exact in every runtime."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gan.common.errors import UserError

EXACT = "frequencies"  # of carriers, whose phase grows with the distance from the corner of the image
LARGEST = torch.finfo(torch.float16).max


class HalfWeights(nn.Module):
    """Calls a network whose matrices and kernels are stored in fp16. Biases and statistics stay in fp32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = in_half(network)

    def forward(self, *inputs: Tensor) -> Any:
        tensors = {**dict(self.network.named_parameters()), **dict(self.network.named_buffers())}
        full = {name: value.float() for name, value in tensors.items() if value.dtype == torch.float16}
        return functional_call(self.network, full, inputs)


def in_half(network: nn.Module) -> nn.Module:
    """Return a copy with matrices and kernels in fp16.

    Raises:
        UserError: a weight is too large for fp16.
    """
    network = copy.deepcopy(network)
    for name, value in [*network.named_parameters(), *network.named_buffers()]:
        if is_halved(name, value):
            check_range(name, float(value.detach().abs().max()))
            value.data = value.data.half()
    return network


def check_range(name: str, largest: float) -> None:
    """Raise UserError if fp16 cannot hold the largest absolute value of a weight."""
    if largest > LARGEST:
        raise UserError(f"--fp16: the weight {name} exceeds {LARGEST:g}, the largest number of fp16; export without it")


def is_halved(name: str, value: Tensor) -> bool:
    """Return whether a weight is stored in fp16."""
    return value.dtype == torch.float32 and value.ndim >= 2 and name.rpartition(".")[2] != EXACT
