"""Lightning's Trainer of a run: its callbacks, loggers and checkpoint plugin, and DDP for two networks in turn."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning import Callback, Trainer
from lightning.pytorch.strategies import DDPStrategy, StrategyRegistry
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from gan.common.errors import UserError
from gan.common.output import print_line
from gan.common.processes import DDP
from gan.data.module import ImageDataModule
from gan.run.checkpoint_io import AtomicCheckpointIO
from gan.run.resolvers import images_at
from gan.training.base import NETWORKS
from gan.training.callbacks.agreement import Agreement
from gan.training.callbacks.checkpoint import Checkpoint
from gan.training.callbacks.evaluate import Evaluate
from gan.training.callbacks.interrupt import Interrupt
from gan.training.callbacks.progress import ProgressLine
from gan.training.callbacks.threads import Threads
from gan.training.callbacks.training_time import TrainingTime
from gan.training.loggers.adapter import Adapter
from gan.training.loggers.files import JSONLines

PRECISIONS = ("bf16-mixed", "16-mixed", "32-true", "bf16", "16", "32")  # Lightning's, and its short names
# Buffers are not sent in forward passes; torch 2.13 has renamed the option.
OLD, NEW = "broadcast_buffers", "forward_sync_buffers"
OWN_BUFFERS: dict[str, Any] = {NEW if NEW in inspect.signature(DistributedDataParallel).parameters else OLD: False}


def make_trainer(*, callbacks: Sequence[Callback] = (), threads: int | str = "auto", **options: Any) -> Trainer:
    """Return a Trainer that runs torch with a number of threads: what conf/trainer configures.

    Args:
        threads: see `Threads`.
        options: options of Lightning's Trainer.
    """
    return Trainer(callbacks=[Threads(threads), *callbacks], **options)


def build_trainer(
    cfg: DictConfig,
    data: ImageDataModule,
    run: Path,
    make: Callable[..., Trainer],
    storage: AtomicCheckpointIO,
    interrupt: Interrupt,
) -> Trainer:
    """Return the Trainer of a run.

    Args:
        make: `make_trainer` with the options of conf/trainer.
        storage: writes checkpoints.
    """
    if str(cfg.trainer.precision) not in PRECISIONS:
        raise UserError(f"trainer.precision={cfg.trainer.precision}: use {', '.join(PRECISIONS[:3])}")
    stop = instantiate(cfg.stop) if "_target_" in cfg.stop else None
    # debug= may set options of callbacks that are not used, which have no target.
    used = [instantiate(callback) for callback in cfg.callback.values() if callback and "_target_" in callback]
    parts = ordered(used, stop, HydraConfig.get().runtime.choices["stop"])
    saves = any(isinstance(part, Checkpoint) for part in parts)
    if not saves:
        print_line("note: no checkpoints are saved, because callback= leaves out checkpoint")
    clock = TrainingTime(cfg.minutes)
    # Adapters come before JSONLines, which cuts metrics.jsonl: they read how far the run came before it was resumed.
    adapters = [Adapter(str(name), functools.partial(instantiate, each), run) for name, each in cfg.logger.items()]
    try:
        return make(
            max_steps=-1 if cfg.images is None else -(-cfg.images // data.batch_size),
            callbacks=[interrupt, Agreement(run, HydraConfig.get().overrides.task), clock, *parts],
            logger=[*adapters, JSONLines(str(run), lambda: clock.seconds, images_at(cfg.resume))],
            plugins=[storage],
            default_root_dir=str(run),
            enable_checkpointing=saves,
        )
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"trainer: {error}") from error


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
