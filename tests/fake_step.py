"""Count the memory of a recipe's training step on a simulated GPU: a real step on fake tensors, which have no values.

    python -m tests.fake_step 64,128,256 [RECIPE ...]    print the counted peaks in GiB, for a GPU with 24 GiB

Widths, batch size and precision are those of a machine with CUDA. Run it in its own process, because it registers a
device.
"""

import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gan.augment import warp
from gan.config.compose import compose
from gan.training.memory import USABLE, copy_of, micro_batches, step_of
from tests.recipes import RECIPES, TRANSLATORS

GIB = 2**30


class LiveBytes(TorchDispatchMode):
    """A context that counts the bytes of the fake tensors on a device, until they are freed.

    A storage counts once, even if several tensors share it. Workspaces of kernels and fragmentation are not counted.
    Each value of a tensor that Python reads is 0.

    Args:
        device: type of the device, such as "cuda".

    Attributes:
        live: current number of bytes.
        peak: largest number of bytes so far.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device
        self.live = self.peak = 0
        self.known: set[int] = set()  # addresses of the live storages

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            return 0
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.device.type == self.device:
                self.add(leaf)
        return result

    def add(self, tensor: Tensor) -> None:
        """Count a tensor's storage until it is freed. Do nothing if it is counted already."""
        storage = tensor.untyped_storage()
        address, size = storage._cdata, storage.nbytes()
        if address in self.known:
            return
        self.known.add(address)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self.free, address, size)

    def free(self, address: int, size: int) -> None:
        self.known.remove(address)
        self.live -= size


@contextmanager
def fake_mode() -> Iterator[None]:
    """A context in which tensors are fake. Random numbers and caches are restored at its end."""
    clear_matrices()
    try:
        with torch.random.fork_rng(devices=[]), FakeTensorMode():
            yield
    finally:
        clear_matrices()


def clear_matrices() -> None:
    """Empty the caches of `gan.augment.warp`, which must not mix real and fake tensors."""
    warp._up.cache_clear()
    warp._down.cache_clear()


def fake_step(
    model: Any, batch: Mapping[str, Tensor], device: torch.device, micro_batch: int | None
) -> tuple[Callable[[], None], list[Optimizer]]:
    """Return a function that runs a training step of a fake copy, and its optimizers. Call both in `fake_mode`."""
    copied = fake_copy(model, device)
    copied.micro_batch = micro_batch
    fake_batch = {name: empty(value, device) for name, value in batch.items()}
    step = step_of(copied, fake_batch, device, torch.bfloat16)
    return step, copied._trainer.optimizers


def fake_copy(model: Any, device: torch.device) -> Any:
    """Return a copy of a GAN whose parameters and buffers are fake tensors on the device."""
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(empty(parameter, device), parameter.requires_grad)
    memo |= {id(buffer): empty(buffer, device) for buffer in model.buffers()}
    for module in model.modules():  # copying a torch.Generator would copy its state, a real tensor
        memo |= {id(value): torch.Generator() for value in vars(module).values() if isinstance(value, torch.Generator)}
    copied = copy_of(model, memo)
    copied._device = device
    return copied


def empty(like: Tensor, device: torch.device) -> Tensor:
    return torch.empty_strided(like.shape, like.stride(), dtype=like.dtype, device=device)


def allocate_state(optimizers: list[Optimizer]) -> None:
    """Make optimizers allocate their states, as in their first step, and keep the gradients, as after each step."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in filter(lambda each: each.requires_grad, group["params"]):
                parameter.grad = torch.zeros_like(parameter)
        optimizer.step()


def configuration(recipe: str, size: int, *options: str) -> Any:
    """Return `model` and `data` of a recipe's configuration, resolved as on a machine with CUDA."""
    data = ["data=retro_filter", "data.root=."] if recipe in TRANSLATORS else ["data.labels=false"]
    given = [f"model={recipe}", *data, f"data.size={size}", "trainer.precision=bf16-mixed", *options]
    with mock.patch("gan.config.compose.device_of", lambda accelerator: "cuda"):
        cfg = compose(given)
        return SimpleNamespace(**{name: OmegaConf.to_container(cfg[name], resolve=True) for name in ("model", "data")})


def build(recipe: str, size: int, *options: str) -> tuple[Any, dict[str, Tensor]]:
    """Return a recipe's module and a batch, both on the meta device."""
    cfg = configuration(recipe, size, *options)
    with torch.device("meta"):
        images = torch.empty(cfg.data["batch_size"], cfg.data["channels"], size, size, dtype=torch.uint8)
        batch = {"a": images, "b": images} if recipe in TRANSLATORS else {"image": images}
        return instantiate(cfg.model), batch


@contextmanager
def made_up_device() -> Iterator[torch.device]:
    """A context with the device that simulates CUDA."""
    from tests.made_up_device import DEVICE, Generator  # registers the device

    with mock.patch("gan.training.module.random", lambda *_: Generator()):
        yield DEVICE


def counted(module: Any, batch: dict[str, Tensor], micro_batch: int | None) -> int:
    """Return the peak in bytes of a step with all of its micro-batches, in which every lazy penalty is due."""
    with made_up_device() as device, fake_mode(), LiveBytes(device.type) as count:
        step, optimizers = fake_step(module, batch, device, micro_batch)
        allocate_state(optimizers)
        step()
        return count.peak


def row(recipe: str, size: int, memory: float) -> str:
    """Return a row of the printed table: the peak of the whole batch, and of the first micro-batch that fits."""
    module, batch = build(recipe, size)
    n = len(next(iter(batch.values())))
    peaks = ((size, counted(module, batch, size)) for size in micro_batches(module, n))
    first = next(peaks)
    chosen, peak = first if first[1] <= USABLE * memory else next(p for p in peaks if p[1] <= USABLE * memory)
    return f"| `{recipe}` | {size} | {n} | {chosen or '-'} | {first[1] / GIB:.2f} | {peak / GIB:.2f} |"


if __name__ == "__main__":
    sizes, *names = sys.argv[1:]
    print("| recipe | size | batch | micro-batch | whole batch | as chosen |")
    for recipe in names or RECIPES:
        for size in map(int, sizes.split(",")):
            print(row(recipe, size, 24 * GIB), flush=True)
