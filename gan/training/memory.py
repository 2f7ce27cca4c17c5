"""Divide a training step so that it fits into the memory of a GPU: what fits is tried before the first step.

A trial is a step of a copy of the model without a Trainer. Its time also chooses the number of threads on a CPU.
"""

from __future__ import annotations

import copy
import gc
import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from gan import kinds
from gan.training.loss_log import LossLog
from gan.utils.errors import UserError
from gan.utils.output import print_line

USABLE = 0.9  # fraction of a GPU's memory that a trial may take; DDP's buckets and fragmentation need the rest
PRECISIONS = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
# Index of a batch in which all terms are due: it is a multiple of the intervals 1, 4 and 16, and the generator is
# updated after it if n_critic is 1 or 5.
BATCH = 64


def choose(model: Any, trainer: Trainer) -> int | None:
    """Return the images per forward pass on a device for a new run, the same on all ranks; None for the whole batch.

    On CUDA it is the largest micro-batch that fits, elsewhere that of the options; raise UserError if none fits.
    """
    device, n = trainer.strategy.root_device, model.batch_size // trainer.world_size
    options = micro_batches(model, n)
    if device.type != "cuda":
        return options[0]
    batch = example(model, model.data, n, device)
    torch.cuda.set_per_process_memory_fraction(USABLE, device)
    try:
        fitting = first_that_fits(model, options, batch, device, PRECISIONS.get(str(trainer.precision)))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    fitting = int(model.all_gather(torch.tensor(fitting, device=device)).max())  # of the rank with the least memory
    if fitting == len(options):
        raise out_of_memory(n, options[-1])
    chosen = options[fitting]
    if fitting:
        print_line(f"memory: batch {n} in micro-batches of {chosen}")
    return chosen


def micro_batches(model: Any, n: int) -> list[int | None]:
    """Return the micro-batches for a batch of n images that the options allow, the largest and fastest first."""
    together = images_together(model.generator, model.discriminator)
    sizes: list[int | None] = [model.micro_batch]
    if model.micro_batch is None and together is not None:
        sizes += [size for size in range(n - 1, 0, -1) if n % size == 0 and size % together == 0]
    return sizes


def images_together(*networks: nn.Module) -> int | None:
    """Return the smallest allowed micro-batch, which divides all others; None if a layer uses the whole batch.

    BatchNorm uses the whole batch. Other layers that combine images have the member `images_together`.
    """
    modules: list[Any] = [module for network in networks for module in network.modules()]
    if any(isinstance(module, _BatchNorm) for module in modules):
        return None
    return math.lcm(*(getattr(module, "images_together", 1) for module in modules))


def first_that_fits(
    model: Any, options: list[int | None], batch: Mapping[str, Tensor], device: torch.device, precision: Any
) -> int:
    """Return the index of the first micro-batch with which a step fits into the memory; `len(options)` if none fits."""
    for index, micro_batch in enumerate(options):
        try:
            try_step(model, micro_batch, batch, device, precision)
            return index
        except torch.OutOfMemoryError:
            pass  # only here the exception, which refers to the tensors of the step, is gone
        gc.collect()
        torch.cuda.empty_cache()
    return len(options)


def try_step(
    model: Any, micro_batch: int | None, batch: Mapping[str, Tensor], device: torch.device, precision: Any
) -> None:
    """Run two steps of a copy, with every lazy penalty. The second one also has the states of the optimizers.

    The copy has weights of its own, so a step of the model needs a little less memory.
    """
    copied = copy_of(model)
    copied.micro_batch = micro_batch
    step = step_of(copied, batch, device, precision)
    for _ in range(2):
        step()


def example(model: Any, data: Any, n: int, device: torch.device) -> dict[str, Tensor]:
    """Return a batch of n black images, with the shapes and dtypes of a data module's batches."""
    images = torch.zeros(n, data.channels, *data.size, dtype=torch.uint8, device=device)
    if kinds.of_data(data) is kinds.TRANSLATOR:
        return {"a": images, "b": images}
    label = {"label": torch.zeros(n, dtype=torch.int64, device=device)} if len(model.class_counts) else {}
    return {"image": images, **label}


def out_of_memory(batch: int, micro_batch: int | None) -> UserError:
    size = min(batch, micro_batch or batch)
    option = f"model.micro_batch={size // 2} (for networks without BatchNorm)"
    smaller = f"set {option}, with resume_force=true to resume; or " if size > 1 else ""
    new = "start a new run with a smaller data.batch_size, data.size or width of the networks"
    return UserError(f"the GPU is out of memory; {smaller}{new}")


# ---- A step of a copy


def copy_of(model: Any, memo: dict[int, Any] | None = None) -> Any:
    """Return a copy of a GAN without its Trainer that never logs. `memo` is that of `copy.deepcopy`."""
    shell = copy.copy(model)
    shell.__dict__ |= {"_trainer": None, "view": None, "loss_log": LossLog(), "log_interval": 2**62}
    return copy.deepcopy(shell, memo)


def step_of(
    copied: Any, batch: Mapping[str, Tensor], device: torch.device, precision: torch.dtype | None
) -> Callable[[], None]:
    """Return a function that runs a training step of a result of `copy_of`, with every lazy penalty.

    `precision` is the dtype of autocast; None: no autocast.
    """
    copied.batch_size = len(next(iter(batch.values())))
    copied._trainer = OneDevice(copied.configure_optimizers())

    def step() -> None:
        with nullcontext() if precision is None else torch.autocast(device.type, precision):
            copied.training_step(batch, BATCH)

    return step


class OneDevice(SimpleNamespace):
    """The members of Lightning's Trainer and of its strategy that a training step uses, on one device."""

    def __init__(self, optimizers: list[Optimizer]) -> None:
        make: Any = LightningOptimizer._to_lightning_optimizer
        super().__init__(
            optimizers=optimizers,
            strategy=self,
            global_step=BATCH,
            world_size=1,
            global_rank=0,
            loggers=[],
            precision_plugin=None,
        )
        self._lightning_optimizers = [make(optimizer, self) for optimizer in optimizers]

    def backward(self, loss: Tensor, *_: object) -> None:
        loss.backward()

    def optimizer_step(self, optimizer: Optimizer, closure: Any, **_: Any) -> None:
        closure()
        optimizer.step()

    def all_gather(self, tensor: Tensor, **_: object) -> Tensor:
        return tensor
