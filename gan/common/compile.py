"""torch.compile for the two networks: in place, so that the names of their weights stay."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import nn

from gan.common.errors import UserError


def compile_in_place(backend: str, *networks: nn.Module) -> None:
    """Let calls of the networks go through torch.compile; what they offer beside stays as it is.

    The training step is not compiled: Lightning's toggling of optimizers breaks its graph (Lightning #21513).

    Args:
        backend: one of torch's; "inductor" writes kernels, "aot_eager" none.

    Raises:
        UserError: there is no such backend, or it cannot work on this machine, as without a compiler.
    """
    known = torch.compiler.list_backends(exclude_tags=())
    if backend not in known:
        raise UserError(f"model.compile={backend}: torch has no such backend, but {', '.join(known)}")
    weights = (weight for network in networks for weight in network.parameters())
    device = next((weight.device for weight in weights), None)  # which a backend may not be able to write for
    try:
        torch.compile(torch.neg, backend=backend)(torch.ones(2, device=device))
    except Exception as error:  # each backend has errors of its own
        why = str(getattr(error, "inner_exception", error)).strip().splitlines()[0]
        raise UserError(f"model.compile={backend}: does not work here: {why}") from error
    for network in networks:
        network.compile(backend=backend)


def uncompiled(network: nn.Module) -> contextlib.AbstractContextManager[Any]:
    """Run the network as it is written, for what a compiled one cannot do, such as second derivatives (PyTorch #91469),
    or for a batch of another size that is not worth a graph of its own."""
    if network._compiled_call_impl is None:
        return contextlib.nullcontext()
    return torch.compiler.set_stance("force_eager")
