"""Read the tensors of pickles and of the files of torch.save, in both of its formats, without running code."""

from __future__ import annotations

import argparse
import io
import math
import mmap
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan.models.published.pickles import MAX_NAME, Record, Window, load
from gan.runs.checkpoint_file import check_archive, check_tensors
from gan.utils.untrusted import open_regular

ZIP = b"PK\x03\x04"  # first bytes of a file of torch.save
OLD = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the same before PyTorch 1.6
MAX_FILE = 4 << 30  # bytes
MAX_MODULES = 1000


def load_file(path: Path) -> Any:
    """Return the value of a file of torch.save, or of a pickle as `gan.models.published.pickles.load` does.

    Raises:
        OSError: the file cannot be read.
        Exception: it is no such file, is damaged, exceeds a limit, or has objects that could run code.
    """
    with open_regular(path) as file:
        size = file.seek(0, 2)
        if not 0 < size <= MAX_FILE:
            raise ValueError(f"it has {size:,} bytes")
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))  # torch warns of memory it cannot write
    if view[: len(OLD)] != OLD and view[: len(ZIP)] != ZIP:
        return load(Window(view))
    if view[: len(ZIP)] == ZIP:
        check_archive(path)
    with torch.serialization.safe_globals([argparse.Namespace]):  # the options in checkpoints of rosinality's code
        value = torch.load(path, map_location="cpu", weights_only=True)
    check_tensors(value, path)
    return value


# ---- tensors and modules


def tensor(value: Any) -> Tensor:
    """Return a tensor, or the one that a record of a tensor, a parameter, or a float32 array or number describes.

    Raises:
        ValueError: it describes none, or one that is not dense or larger than its storage.
    """
    match value:
        case Tensor():
            return value
        case Record("torch._utils._rebuild_parameter", (inside, *_)):
            return tensor(inside)
        case Record(
            "torch._utils._rebuild_tensor_v2",
            (Record("torch.storage._load_from_bytes", (data,)), int(offset), tuple(size), tuple(strides), *_),
        ):
            storage = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            return view_of(torch.empty(0, dtype=storage.dtype).set_(storage), size, offset, strides)
        case Record(
            _, _, (_, tuple(size), Record("numpy.dtype", ("f4", *_), (_, "<", *_)), False, memoryview() as data)
        ):
            return view_of(torch.frombuffer(data, dtype=torch.float32), size)
        case Record(_, (Record("numpy.dtype", ("f4", *_)), memoryview() as data)):
            return view_of(torch.frombuffer(data, dtype=torch.float32), ())
    raise ValueError("a tensor is of another kind")


def view_of(numbers: Tensor, size: tuple[Any, ...], offset: int = 0, strides: tuple[Any, ...] | None = None) -> Tensor:
    """Return a view of numbers (n,) as a tensor; raise ValueError if it is not dense or has more numbers."""
    if strides is None:
        strides = tuple(math.prod(size[n + 1 :]) for n in range(len(size)))
    if len(strides) != len(size) or not all(type(n) is int and n >= 0 for n in (offset, *size, *strides)):
        raise ValueError("a tensor has another size")
    span = 1 + sum((n - 1) * step for n, step in zip(size, strides, strict=True))
    if not math.prod(size) or span != math.prod(size) or offset + span > len(numbers):
        raise ValueError("a tensor does not fit into its storage")
    return numbers[offset : offset + span].as_strided(size, strides)


def state_dict(values: dict[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of a state dict. The `module.` of names, which DistributedDataParallel adds, is removed."""
    tensors = {str(name): tensor(value) for name, value in values.items() if isinstance(value, Record | Tensor)}
    parallel = all(name.startswith("module.") for name in tensors)
    return {name.removeprefix("module.") if parallel else name: value for name, value in tensors.items()}


def state_of(value: Any) -> dict[str, Any]:
    """Return the attributes of a pickled object. NVIDIA's networks have them next to their source code."""
    match value:
        case Record("torch_utils.persistence._reconstruct_persistent_obj", ({"state": dict(state)},)):
            return state
        case Record(_, _, dict(state)):
            return state
    return {}


def of_module(module: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the parameters and buffers of a pickled module and of those in it, and their other attributes, by name."""
    tensors: dict[str, Tensor] = {}
    attributes: dict[str, Any] = {}
    waiting = [("", module)]
    for prefix, part in waiting:
        state = state_of(part)
        for name, value in [*state.get("_parameters", {}).items(), *state.get("_buffers", {}).items()]:
            if value is not None:
                tensors[f"{prefix}{name}"] = tensor(value)
        plain = {name: value for name, value in state.items() if isinstance(value, str | int | float)}
        attributes |= {f"{prefix}{name}": value for name, value in plain.items()}
        waiting += [(f"{prefix}{name}.", child) for name, child in state.get("_modules", {}).items()]
        if len(waiting) > MAX_MODULES or len(prefix) > MAX_NAME:
            raise ValueError("it has too many modules")
    return tensors, attributes
