"""Lightning's Trainer: the order of its callbacks, and DDP for two networks that are updated in turn."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from lightning import Callback, Trainer
from lightning.pytorch.strategies import DDPStrategy, StrategyRegistry
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from gan.training.base import NETWORKS
from gan.training.callbacks.evaluate import Evaluate
from gan.training.callbacks.progress import ProgressLine
from gan.training.callbacks.threads import Threads
from gan.utils.errors import UserError
from gan.utils.processes import DDP


def make_trainer(*, callbacks: Sequence[Callback] = (), threads: int | str = "auto", **options: Any) -> Trainer:
    """Return a Trainer of Lightning with these options and with `Threads`: what conf/trainer configures."""
    return Trainer(callbacks=[Threads(threads), *callbacks], **options)


def ordered(parts: Sequence[Any], stop: Any | None, name: str) -> list[Any]:
    """Return the callbacks in their order: a score can end the run, and others act at the end, such as a last grid."""
    first = [part for part in parts if isinstance(part, ProgressLine | Evaluate)]
    if stop is not None and not any(isinstance(part, Evaluate) for part in first):
        raise UserError(f"stop={name} needs scores; add evaluate to callback=")
    return [*first, *([] if stop is None else [stop]), *(part for part in parts if part not in first)]


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
        rest = {name: part for name, part in model.named_children() if name not in (*NETWORKS, "penalties")}
        for name, part in rest.items():
            if any(weight.requires_grad for weight in part.parameters()):
                raise UserError(f"{name}: its gradients are not exchanged between devices; set trainer.devices=1")
        parts = [Reduced(model.trained_parts(network)) for network in NETWORKS]
        parts[0].extend(rest.values())  # without gradients; rank 0 also sends their initial state
        trained = [part for part in parts if part.trained]
        self.reducers = [DistributedDataParallel(part, **self._ddp_kwargs) for part in trained]
        for reducer in self.reducers:
            reducer.broadcast_buffers = False  # afterwards; as an option, torch < 2.13 would not send the initial state

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
