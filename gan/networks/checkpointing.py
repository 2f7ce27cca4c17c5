"""Checkpoint blocks: the backward pass recomputes their activations, so the forward pass does not store them.

Chen, Xu, Zhang, Guestrin, "Training Deep Nets with Sublinear Memory Cost", 2016, arXiv:1604.06174.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.checkpoint import checkpoint

from gan.networks.second_derivatives import is_differentiated_twice


def checkpoint_blocks(network: nn.Module) -> None:
    """Checkpoint the blocks of a network, in place. Values, random numbers and names of weights stay the same.

    In the pass of a gradient penalty, blocks are not checkpointed, because the penalty differentiates the backward pass
    and needs the activations.
    """
    for block in blocks(network):
        if not issubclass(type(block), Checkpointed):
            block.__class__ = checkpointed(type(block))  # type: ignore[arg-type]


def blocks(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules in the outermost ModuleLists of a network."""
    for child in network.children():
        if isinstance(child, nn.ModuleList):
            yield from child
        else:
            yield from blocks(child)


class Checkpointed(nn.Module):
    """A block that stores its inputs instead of its activations, and recomputes the activations in the backward pass.

    It also stores its buffers: the second forward pass uses the same values and does not change the buffers.
    """

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        plain = super().forward
        if not torch.is_grad_enabled() or is_differentiated_twice():
            return plain(*args, **kwargs)
        weights = parametrized_weights(self)
        before = {name: buffer.clone() for name, buffer in self.named_buffers()}

        def contexts() -> tuple[Any, Any]:
            return cached_weights(weights), first_pass(self, before, weights)

        return checkpoint(plain, *args, use_reentrant=False, context_fn=contexts, **kwargs)


@functools.cache
def checkpointed(kind: type[nn.Module]) -> type[nn.Module]:
    """Return a checkpointed subclass of a block's class."""
    return type(f"Checkpointed{kind.__name__}", (Checkpointed, kind), {})


Weights = dict[tuple[int, str], Tensor | None]  # an entry of torch's cache of parametrized weights


def parametrized_weights(block: nn.Module) -> Weights:
    """Return torch's cache of parametrized weights, such as normalized ones, after adding those of the block."""
    with parametrize.cached():
        for module in block.modules():
            if parametrize.is_parametrized(module):
                for name in module.parametrizations:  # type: ignore[union-attr]
                    getattr(module, name)
        return dict(parametrize._cache)


@contextmanager
def cached_weights(weights: Weights) -> Iterator[None]:
    """A context in which parametrized weights have these values, so that both passes of a block use the same values."""
    with parametrize.cached():
        parametrize._cache.update(weights)
        yield


@contextmanager
def first_pass(block: nn.Module, before: dict[str, Tensor], weights: Weights) -> Iterator[None]:
    """A context in which a block's buffers and parametrized weights are those of its first pass.

    Otherwise the statistics of BatchNorm would be updated twice.
    """
    owners = [(block.get_submodule(name.rpartition(".")[0]), name) for name in before]
    now = {name: owner._buffers[name.rpartition(".")[2]] for owner, name in owners}
    try:
        for owner, name in owners:
            owner._buffers[name.rpartition(".")[2]] = before[name].clone()
        with cached_weights(weights):
            yield
    finally:
        for owner, name in owners:
            owner._buffers[name.rpartition(".")[2]] = now[name]
