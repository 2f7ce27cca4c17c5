"""Count the bytes of the live tensors on a device, and their peak."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

SCALARS = (torch.ops.aten._local_scalar_dense.default,)  # returns the value of a tensor as a Python number


class LiveBytes(TorchDispatchMode):
    """A context that counts the bytes of the storages that operations return on a device, until they are freed.

    A storage counts once, even if several tensors share it. Workspaces of kernels and fragmentation are not counted.

    Args:
        device: type of the device, such as "cuda".
        fake: whether tensors are fake and have no values; then each value that Python reads is 0.

    Attributes:
        live: current number of bytes.
        peak: largest number of bytes so far.
    """

    def __init__(self, device: str, fake: bool = False) -> None:
        super().__init__()
        self.device = device
        self.fake = fake
        self.live = self.peak = 0
        self.known: set[int] = set()  # addresses of the live storages

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.fake and func in SCALARS:
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
