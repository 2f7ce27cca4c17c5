"""DDP with a reducer for each network, because each phase of training updates only one of them."""

from __future__ import annotations

import inspect
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from lightning.pytorch.strategies import DDPStrategy, ParallelStrategy, Strategy, StrategyRegistry
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from gan.common.processes import DDP
from gan.training.base import NETWORKS

# Buffers are not sent in forward passes; torch 2.13 has renamed the option.
OLD, NEW = "broadcast_buffers", "forward_sync_buffers"
OWN_BUFFERS: dict[str, Any] = {NEW if NEW in inspect.signature(DistributedDataParallel).parameters else OLD: False}


class Reduced(nn.ModuleList):
    """Parts whose gradients are reduced together."""

    def __init__(self, parts: list[nn.Module]) -> None:
        super().__init__(parts)
        self.trained = [parameter for parameter in self.parameters() if parameter.requires_grad]

    def forward(self) -> None:
        """Do nothing: a forward pass of DistributedDataParallel prepares the reducer for the next backward pass."""

    def is_updated(self) -> bool:
        """Return whether this phase of training updates the parts. It freezes all parameters of the other network."""
        return self.trained[0].requires_grad


@StrategyRegistry.register(DDP)
class DDPPerNetwork(DDPStrategy):
    """DDP that reduces the gradients of the network that is updated, while its backward pass runs.

    A single reducer would search each graph for unused parameters, and reduce zeros for the other network (Lightning
    #20328). With a reducer for each network, each update of a network must use all its parameters. Each rank keeps its
    own buffers, so the running statistics of BatchNorm in a checkpoint are those of rank 0.
    """

    local = False  # whether gradients stay on this rank

    def configure_ddp(self) -> None:
        model: Any = self.lightning_module
        rest = [part for name, part in model.named_children() if name not in (*NETWORKS, "penalties")]
        parts = [Reduced(model.trained_parts(network)) for network in NETWORKS]
        parts[0].extend(rest)  # without gradients; rank 0 also sends their initial state
        trained = [part for part in parts if part.trained]
        self.reducers = [DistributedDataParallel(part, **OWN_BUFFERS, **self._ddp_kwargs) for part in trained]

    def pre_backward(self, closure_loss: Tensor) -> None:
        for reducer in self.reducers:
            if reducer.module.is_updated() and not self.local:
                reducer()

    @contextmanager
    def block_backward_sync(self) -> Generator[None]:
        self.local = True
        try:
            yield
        finally:
            self.local = False


def unreduced(strategy: Strategy, local: bool) -> AbstractContextManager[None]:
    """Return a context in which gradients stay on each rank if `local`, because later ones are added to them."""
    return strategy.block_backward_sync() if local and isinstance(strategy, ParallelStrategy) else nullcontext()
