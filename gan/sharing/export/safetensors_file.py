"""Weights alone, under the names of the network's layers, with metadata in the header. Loading runs no code."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from safetensors.torch import load, save
from torch import Tensor

from gan.sharing.export.half import is_halved
from gan.sharing.export.parts import Part, as_tuple


def encode(part: Part, half: bool, about: Mapping[str, str]) -> bytes:
    """Return the bytes of a file.

    Args:
        half: store matrices and kernels in fp16.
    """
    tensors = {
        name: (value.half() if half and is_halved(name, value) else value).detach().contiguous().clone()
        for name, value in part.original.state_dict().items()
    }
    return save(tensors, dict(about))


def open_file(data: bytes, part: Part) -> Callable[..., tuple[Tensor, ...]]:
    """Return the function of the network with the weights of a file."""
    network = copy.deepcopy(part.original)
    network.load_state_dict(load(data))

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return as_tuple(part.run(network, *inputs))

    return run
