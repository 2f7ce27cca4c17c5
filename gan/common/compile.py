"""Apply torch.compile to networks in place, so that the names of their weights do not change."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import nn

from gan.common.errors import UserError


def compile_in_place(backend: str, *networks: nn.Module) -> None:
    """Compile the `forward` of networks. Their other methods stay uncompiled.

    The training step is not compiled: Lightning's toggling of optimizers breaks its graph (Lightning #21513).

    Args:
        backend: a backend of torch.compile; "inductor" generates kernels, "aot_eager" does not.

    Raises:
        UserError: the backend does not exist, or does not work on this machine, for example without a compiler.
    """
    known = torch.compiler.list_backends(exclude_tags=())
    if backend not in known:
        raise UserError(f"model.compile={backend}: torch has no such backend; use one of {', '.join(known)}")
    weights = (weight for network in networks for weight in network.parameters())
    device = next((weight.device for weight in weights), None)  # the backend may not support this device
    try:
        torch.compile(torch.neg, backend=backend)(torch.ones(2, device=device))
    except Exception as error:  # each backend raises its own types of errors
        cause = str(getattr(error, "inner_exception", error)).strip().splitlines()[0]
        raise UserError(f"model.compile={backend}: does not work on this machine: {cause}") from error
    for network in networks:
        network.compile(backend=backend)


def uncompiled(network: nn.Module) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which a network runs uncompiled.

    Compiled networks have no second derivatives (PyTorch #91469), and each new batch size would be compiled again.
    """
    if network._compiled_call_impl is None:
        return contextlib.nullcontext()
    return torch.compiler.set_stance("force_eager")
