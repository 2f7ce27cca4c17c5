"""Run training steps on a simulated GPU. Report waits for the device, tensors elsewhere, operations and memory.

    python -m tests.card_step [--size 64] [--faults] VARIANT ...

Prints a JSON object per variant, such as `dcgan` or "dcgan penalty=[r1]". Run it in its own process, because it
registers a device. As in `tests.fake_step`, widths and batch size are those of a GPU, the precision is bf16, and all
lazy penalties are due. The first step fills caches; only the second is reported.
"""

import argparse
import json
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gan.training.module import GAN
from tests.fake_step import GIB, LiveBytes, build, fake_mode, fake_step, made_up_device

ROOT = f"{Path(__file__).parents[1]}/"
aten = torch.ops.aten
SCALARS = (aten._local_scalar_dense,)
WAITS = (*SCALARS, aten.nonzero, aten.masked_select, aten.equal, aten._unique2)  # the host needs values for the result
COPIES = (aten._to_copy, aten.copy_)


class Watch(TorchDispatchMode):
    """Record the operations of a step on a device.

    Attributes:
        waits: counts of operations for which the host waits, with the line of gan/ or tests/ that called them.
        elsewhere: counts of operations that create a tensor with more than one value on another device.
        kernels: number of calls of each operation.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.waits: Counter[str] = Counter()
        self.elsewhere: Counter[str] = Counter()
        self.kernels: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        op, given = func.overloadpacket, [*filter(self.is_here, tree_leaves((args, kwargs)))]
        out = 0 if op in SCALARS else func(*args, **(kwargs or {}))
        made = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        here = any(map(self.is_here, made))
        copied = op in COPIES and not (kwargs or {}).get("non_blocking") and self.crosses(op, args, out)
        if copied or (op in WAITS and given):
            self.waits[place(op)] += 1
        if not here and any(leaf.numel() > 1 for leaf in made):
            self.elsewhere[place(op)] += 1
        if given or here:
            self.kernels[op.__name__] += 1
        return out

    def is_here(self, leaf: Any) -> bool:
        return isinstance(leaf, Tensor) and leaf.device.type == self.device.type

    def crosses(self, op: Any, args: Any, out: Tensor) -> bool:
        """Return whether a copy is from one device to another."""
        source = args[1] if op is aten.copy_ else args[0]
        return self.is_here(source) != self.is_here(out)


def place(op: Any) -> str:
    """Return the name of the operation, and the innermost line of this project that called it."""
    frames = [f for f in traceback.extract_stack() if f.filename.startswith(ROOT) and f.filename != __file__]
    caller = frames[-1] if frames else traceback.extract_stack()[0]
    return f"{op.__name__} at {caller.filename.removeprefix(ROOT)}:{caller.lineno}"


def watched_step(module: Any, batch: dict[str, Tensor]) -> dict[str, Any]:
    """Return the report of the second of two steps."""
    with made_up_device() as device, fake_mode(), LiveBytes(device.type) as count:
        step, _ = fake_step(module, batch, device, module.micro_batch)
        for _ in range(2):
            with Watch(device) as watch:
                step()
    return {
        "waits": dict(watch.waits),
        "elsewhere": dict(watch.elsewhere),
        "convolutions": watch.kernels["convolution"],
        "convolution_backwards": watch.kernels["convolution_backward"],
        "kernels": sum(watch.kernels.values()),
        "gib": count.peak / GIB,
    }


def faulty(fault: Callable[[Any], Any]) -> Any:
    """Return a context in which the discriminator's loss also calls `fault` with the step."""
    original = GAN.discriminator_loss

    def discriminator_loss(self: Any, step: Any) -> dict[str, Tensor]:
        fault(step)
        return original(self, step)

    return mock.patch.object(GAN, "discriminator_loss", discriminator_loss)


FAULTS: dict[str, Callable[[Any], Any]] = {
    "item": lambda step: step.real.mean().item(),
    "branch": lambda step: bool(step.real.mean() > 0),
    "cpu": lambda step: step.real.cpu(),
    "other device": lambda step: step.real.mean() + torch.ones(3).mean(),
    "copy in each step": lambda step: torch.zeros(()).to(step.real.device),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("variants", nargs="+")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--faults", action="store_true")
    given = parser.parse_args()
    for variant in given.variants:
        recipe, *options = variant.split()
        module, batch = build(recipe, given.size, *options)
        for name in ("", *FAULTS) if given.faults else ("",):
            with faulty(FAULTS[name]) if name else nullcontext():
                found = watched_step(module, batch)
            print(json.dumps({"variant": f"{variant} {name}".strip(), **found}), flush=True)


if __name__ == "__main__":
    main()
