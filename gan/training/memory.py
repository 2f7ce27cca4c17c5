"""Estimate the memory of a training step, and divide the step to fit into the memory of a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from lightning import Trainer
from torch import Tensor

from gan.common.errors import UserError, at_least, switch, to_line
from gan.common.output import print_line
from gan.common.processes import available_memory
from gan.data.module import DEVICE_SHARE, gpu_memory
from gan.training.micro_batches import choose_micro_batch, describe_batch_norm, images_together, predict
from gan.training.rehearsal import Need, images_in, rehearse

GIB = 2**30
USABLE = 0.9  # fraction of a GPU's memory that the estimate may take; workspaces and fragmentation need the rest
PRECISIONS = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
MANY_PIXELS = 1 << 16  # of a batch; with fewer, a step on a CPU needs little memory in comparison with PyTorch
IMAGE_COPIES = 9  # bytes per value of an image outside of forward passes: 1 (uint8), 4 (real) and 4 (generated)


@dataclass(frozen=True)
class Division:
    """How a step is divided. It is chosen at the start of a run and kept when the run is resumed.

    Attributes:
        micro_batch: images per forward pass on a device; None: the batch.
        checkpoint_blocks: whether the backward pass recomputes activations.
        needed: estimated memory of a step on a device, in bytes; None: not estimated.
    """

    micro_batch: int | None = None
    checkpoint_blocks: bool = False
    needed: int | None = None

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Division:
        """Return the division stored in a checkpoint; raise UserError if a value is invalid."""
        micro_batch, needed = state.get("micro_batch"), state.get("needed")
        return cls(
            None if micro_batch is None else at_least("the checkpoint's micro_batch", micro_batch, 1),
            switch("the checkpoint's checkpoint_blocks", state.get("checkpoint_blocks", False)),
            None if needed is None else min(2**63, at_least("the checkpoint's needed memory", needed, 1)),
        )

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def with_options(self, micro_batch: int | None, checkpoint_blocks: bool | None) -> Division:
        """Return the division with its values replaced by the options that are not None."""
        size = self.micro_batch if micro_batch is None else micro_batch
        checkpointed = self.checkpoint_blocks if checkpoint_blocks is None else checkpoint_blocks
        same = (size, checkpointed) == (self.micro_batch, self.checkpoint_blocks)
        return Division(size, checkpointed, self.needed if same else None)

    def describe(self, batch: int) -> str:
        """Return text such as `about 9.8 GiB per GPU (batch 64 in micro-batches of 16)`.

        Args:
            batch: images per batch on a device.
        """
        divided = self.micro_batch is not None and self.micro_batch < batch
        images = f"batch {batch}" + (f" in micro-batches of {self.micro_batch}" if divided else "")
        images += ", blocks checkpointed" if self.checkpoint_blocks else ""
        return f"about {(self.needed or 0) / GIB:.1f} GiB per GPU ({images})"


def settle(model: Any, data: Any, trainer: Trainer) -> None:
    """Choose `model.division` for a new run on a CUDA device, and print the estimate.

    On a CPU, print the estimate only. Other devices get none.
    """
    device, n = trainer.strategy.root_device, data.batch_size // trainer.world_size
    if note := describe_batch_norm(model, n):
        print_line(note)
    if device.type == "cpu" and n * data.size[0] * data.size[1] >= MANY_PIXELS:
        describe_on_cpu(model, example(model, data, n), str(trainer.precision), trainer.num_devices)
    if device.type != "cuda":
        return
    memory = (USABLE - DEVICE_SHARE) * gpu_memory(device)  # data.storage=auto may keep pixels on the device
    buckets = sum(p.nbytes for p in model.parameters() if p.requires_grad) * (trainer.world_size > 1)  # of DDP
    try:
        found = divide(model, example(model, data, n), device, PRECISIONS.get(str(trainer.precision)), memory - buckets)
    except UserError:
        raise
    except Exception as error:  # a custom part may read values of tensors
        print_line(f"memory: could not be estimated ({to_line(error)}); set model.micro_batch to use less memory")
        return
    model.division = replace(found, needed=(found.needed or 0) + buckets)
    print_line(f"memory: {model.division.describe(n)}")
    if (found.needed or 0) + buckets > memory:
        print_line(
            f"memory: this is more than {memory / GIB:.1f} GiB, the usable memory of {device}; "
            "use a smaller data.batch_size, data.size or width"
        )


def describe_on_cpu(model: Any, batch: Mapping[str, Tensor], precision: str, processes: int) -> None:
    """Print the estimated memory of a step on a CPU, and a warning if less is available."""
    try:
        step = estimate(model, batch, torch.device("cpu"), PRECISIONS.get(precision), model.micro_batch).peak
    except UserError:
        raise
    except Exception as error:  # a custom part may read values of tensors
        print_line(f"memory: could not be estimated ({to_line(error)})")
        return
    needed, free = processes * step, available_memory()
    amount = f"{needed / GIB:.1f} GiB" if needed >= GIB / 10 else f"{needed / 2**20:.0f} MiB"
    print_line(f"memory: about {amount} in addition to PyTorch and the images (batch {images_in(batch)})")
    if needed > free:
        print_line(
            f"memory: only {free / GIB:.1f} GiB are available; use a smaller data.batch_size, data.size or width, or "
            "model.micro_batch (for networks without BatchNorm)"
        )


def example(model: Any, data: Any, n: int) -> dict[str, Tensor]:
    """Return a batch of n images on the meta device, with the shapes and dtypes of a data module's batches."""
    images = torch.empty(n, data.channels, *data.size, dtype=torch.uint8, device="meta")
    if hasattr(data, "inputs"):
        return {"a": images, "b": images}
    label = {"label": torch.empty(n, dtype=torch.int64, device="meta")} if len(model.class_counts) else {}
    return {"image": images, **label}


def divide(
    model: Any, batch: Mapping[str, Tensor], device: torch.device, precision: torch.dtype | None, memory: float
) -> Division:
    """Return the fastest division that fits into `memory` bytes; the one that needs the least memory if none fits.

    Options of the model that are not None are kept. Micro-batches are tried before checkpointing of blocks.

    Args:
        batch: see `rehearse`.
    """
    n = images_in(batch)
    together = images_together(model.generator, model.discriminator) if model.micro_batch is None else None
    found = []
    for checkpointed in allowed_checkpointing(model):
        need = estimate(model, batch, device, precision, model.micro_batch, checkpointed)
        found.append(Division(model.micro_batch, checkpointed, need.peak))
        guess = choose_micro_batch(need, n, memory, n, together)
        if need.peak > memory and guess is not None:  # can be too small: a whole batch keeps G's pass
            need = estimate(model, batch, device, precision, guess, checkpointed)
            size = choose_micro_batch(need, guess, memory, n, together) or guess
            found.append(Division(size, checkpointed, round(predict(need, guess, size))))
        if (found[-1].needed or 0) <= memory:
            return found[-1]
    return min(found, key=lambda division: division.needed or 0)


def allowed_checkpointing(model: Any) -> list[bool]:
    """Return the values of checkpoint_blocks that the options allow, the fastest first."""
    if model.checkpoint_blocks is not None:
        return [model.checkpoint_blocks]
    return [False, True] if model.compile_with is None else [False]


def estimate(
    model: Any,
    batch: Mapping[str, Tensor],
    device: torch.device,
    precision: torch.dtype | None,
    micro_batch: int | None = None,
    checkpointed: bool = False,
) -> Need:
    """Return the memory of a step. At most two micro-batches are rehearsed, because the others need the same memory."""
    n = images_in(batch)
    part = n if micro_batch is None else min(n, 2 * micro_batch)
    first = {name: values[:part] for name, values in batch.items()}
    need = rehearse(model, first, device, precision, micro_batch, checkpointed)
    others = IMAGE_COPIES * sum(values[part:].numel() for values in batch.values())
    return Need(need.resident + others, need.peak + others)


def is_ram_exhausted(error: BaseException) -> bool:
    """Return whether numpy or torch could not allocate memory of the CPU. Only torch's message identifies its error."""
    if isinstance(error, MemoryError):
        return True
    texts = ("can't allocate memory", "ArrayMemoryError", "Unable to allocate")  # of torch, and of a worker process
    return isinstance(error, RuntimeError) and any(text in str(error) for text in texts)


def out_of_memory(model: Any, batch: int) -> UserError:
    """Return the error for a step that did not fit into the memory of a GPU.

    Args:
        batch: images per batch on a device.
    """
    division: Division = model.division
    estimated = f" The estimate of a step is {division.describe(batch)}." if division.needed else ""
    size = min(batch, division.micro_batch or batch)
    options = [f"model.micro_batch={size // 2} (for networks without BatchNorm)"] if size > 1 else []
    options += ["model.checkpoint_blocks=true"] if not division.checkpoint_blocks else []
    smaller = f" Set {' or '.join(options)}, and add resume_force=true to resume; or" if options else " Please"
    return UserError(
        f"the GPU is out of memory.{estimated}{smaller} start a new run with a smaller data.batch_size, data.size or "
        "width of the networks"
    )
