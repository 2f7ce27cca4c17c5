"""Run a training step of a copy: on fake tensors, which have no values, to count its memory, or to measure its time."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.optim import Optimizer

from gan.augment import warp
from gan.common.live_bytes import LiveBytes
from gan.networks.checkpointing import checkpoint_blocks
from gan.training.loss_log import LossLog

# Index of a batch in which all terms are due: it is a multiple of the intervals 1, 4 and 16, and the generator is
# updated after it if n_critic is 1 or 5.
BATCH = 64


class Need(NamedTuple):
    """Bytes of tensors on a device."""

    resident: int  # weights, gradients, states of the optimizers and EMA
    peak: int  # largest number during a step, including the resident bytes


def rehearse(
    model: Any,
    batch: Mapping[str, Tensor],
    device: torch.device,
    precision: torch.dtype | None,
    micro_batch: int | None = None,
    checkpointed: bool = False,
) -> Need:
    """Return the bytes that the tensors of a GAN take before and during a step.

    Every lazy penalty is due. Workspaces of kernels are not counted.

    Args:
        model: it is not changed. Its parameters can be on any device.
        batch: a batch of one device. Only shapes and dtypes are used.
        device: device on which the step would run.
        precision: dtype of autocast; None: no autocast.
        micro_batch: images per forward pass; None: the batch.
        checkpointed: checkpoint the blocks of both networks.
    """
    with fake_mode(), LiveBytes(device.type, fake=True) as count:
        step, optimizers = fake_step(model, batch, device, precision, micro_batch, checkpointed)
        allocate_state(optimizers)
        resident = count.live
        step()
        return Need(resident, count.peak)


@contextmanager
def fake_mode() -> Iterator[None]:
    """A context in which tensors are fake. Random numbers and caches are restored at its end."""
    warp.clear_matrices()  # a cache must not mix real and fake tensors
    try:
        with torch.random.fork_rng(devices=[]), FakeTensorMode():
            yield
    finally:
        warp.clear_matrices()


def fake_step(
    model: Any,
    batch: Mapping[str, Tensor],
    device: torch.device,
    precision: torch.dtype | None,
    micro_batch: int | None = None,
    checkpointed: bool = False,
) -> tuple[Callable[[], None], list[Optimizer]]:
    """Return a function that runs a training step of a fake copy, and the optimizers of the copy.

    Call it and the function in `fake_mode`. The arguments are those of `rehearse`.
    """
    rehearsed = fake_copy(model, device)
    images = {name: empty(value, device) for name, value in batch.items()}
    rehearsed.micro_batch = micro_batch
    if checkpointed:
        checkpoint_blocks(rehearsed.generator)
        checkpoint_blocks(rehearsed.discriminator)
    return step_of(rehearsed, images, device, precision)


def copied_step(
    model: Any, batch: Mapping[str, Tensor], device: torch.device, precision: torch.dtype | None
) -> Callable[[], None]:
    """Return a function that runs a training step of a copy of the model, with every lazy penalty.

    It changes neither the model nor torch's global random numbers.

    Args:
        batch: a batch of one device.
        device, precision: see `rehearse`.
    """
    step, _ = step_of(copy_of(model, {}), batch, device, precision)

    def isolated() -> None:
        with torch.random.fork_rng(devices=[]):
            step()

    return isolated


def step_of(
    rehearsed: Any, batch: Mapping[str, Tensor], device: torch.device, precision: torch.dtype | None
) -> tuple[Callable[[], None], list[Optimizer]]:
    """Return a function that runs a training step of a copied model without a Trainer, and the copy's optimizers."""
    rehearsed.batch_size = images_in(batch)
    optimizers = rehearsed.configure_optimizers()
    rehearsed._trainer = FakeTrainer(optimizers, BATCH)

    def step() -> None:
        with nullcontext() if precision is None else torch.autocast(device.type, precision):
            rehearsed.training_step(batch, BATCH)

    return step, optimizers


def images_in(batch: Mapping[str, Tensor]) -> int:
    """Return the number of images of a batch."""
    return len(next(iter(batch.values())))


def fake_copy(model: Any, device: torch.device) -> Any:
    """Return a copy of a GAN whose parameters and buffers are fake tensors on the device. Call it in fake mode."""
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(empty(parameter, device), parameter.requires_grad)
    memo |= {id(buffer): empty(buffer, device) for buffer in model.buffers()}
    for module in model.modules():  # copying a torch.Generator would copy its state, a real tensor
        memo |= {id(value): torch.Generator() for value in vars(module).values() if isinstance(value, torch.Generator)}
    found = copy_of(model, memo)
    found._device = device
    return found


def copy_of(model: Any, memo: dict[int, Any]) -> Any:
    """Return a copy of a GAN without its Trainer that never logs.

    Args:
        memo: copies of parts, by the id of the part, as `copy.deepcopy` takes them.
    """
    shell = copy.copy(model)
    shell.__dict__ |= {"_trainer": None, "loss_log": LossLog(), "log_interval": 2**62}
    return copy.deepcopy(shell, memo)


def empty(like: Tensor, device: torch.device) -> Tensor:
    return torch.empty_strided(like.shape, like.stride(), dtype=like.dtype, device=device)


def allocate_state(optimizers: list[Optimizer]) -> None:
    """Make optimizers allocate their states, as in their first step, and keep the gradients, as after each step."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in filter(lambda each: each.requires_grad, group["params"]):
                parameter.grad = torch.zeros_like(parameter)
        optimizer.step()


class FakeTrainer(SimpleNamespace):
    """The members of Lightning's Trainer that a training step uses, on one device.

    Args:
        batch: number of batches before this one.
    """

    def __init__(self, optimizers: list[Optimizer], batch: int) -> None:
        super().__init__(
            optimizers=optimizers,
            strategy=FakeStrategy(optimizers),
            global_step=batch,
            world_size=1,
            global_rank=0,
            loggers=[],
            precision_plugin=None,
        )


class FakeStrategy:
    """The members of Lightning's Strategy that a training step uses, on one device."""

    def __init__(self, optimizers: list[Optimizer]) -> None:
        make: Any = LightningOptimizer._to_lightning_optimizer
        self._lightning_optimizers = [make(optimizer, self) for optimizer in optimizers]

    def backward(self, loss: Tensor, *_: Any) -> None:
        loss.backward()

    def optimizer_step(self, optimizer: Optimizer, closure: Any, **_: Any) -> None:
        closure()
        optimizer.step()

    def all_gather(self, tensor: Tensor, **_: Any) -> Tensor:
        return tensor
