"""How torch runs: compiled, and over several ranks."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gan.utils.errors import UserError


def compile_in_place(backend: str, *networks: nn.Module) -> None:
    """Compile the `forward` of networks. Their other methods stay uncompiled.

    The training step is not compiled: Lightning's toggling of optimizers breaks its graph (Lightning #21513).

    Args:
        backend: a backend of torch.compile; "inductor" generates kernels, "aot_eager" does not.

    Raises:
        UserError: the backend does not exist, or does not work on this machine, for example without a compiler.
    """
    weights = (weight for network in networks for weight in network.parameters())
    device = next((weight.device for weight in weights), None)  # the backend may not support this device
    try:
        torch.compile(torch.neg, backend=backend)(torch.ones(2, device=device))
    except Exception as error:  # each backend raises its own types of errors
        cause = str(getattr(error, "inner_exception", error)).strip().splitlines()[0]
        known = ", ".join(torch.compiler.list_backends(exclude_tags=()))
        raise UserError(f"model.compile={backend}: {cause}; backends are {known}") from error
    for network in networks:
        network.compile(backend=backend)


def over_ranks(value: Tensor) -> Tensor:
    """Return the mean of a tensor over all ranks, without gradients; the tensor itself if there is one rank."""
    if ranks() == 1:
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total / ranks()


def ranks() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1
