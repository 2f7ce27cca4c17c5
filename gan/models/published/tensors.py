"""Read the tensors of pickles and of the files of torch.save, in both of its formats, without running code.

No bytes are copied: tensors are views of the file in memory.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan.runs.checkpoint_file import check_archive
from gan.utils.pickles import MAX_NAME, MAX_OPCODES, Record, Window, load
from gan.utils.untrusted import open_regular

ZIP = b"PK\x03\x04"  # first bytes of a file of torch.save
ZIP_HEADER = 30  # bytes before the name of a member; the lengths of the name and of what follows it are the last four
OLD = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # first bytes of the same before PyTorch 1.6
MAX_FILE = 4 << 30  # bytes
MAX_ENTRIES = 12_000  # attributes and weights of all modules of a network; R3GAN has about 5,000
MAX_OPCODES_OF_STORAGE = 100  # of each pickle in a storage that is a file of torch.save itself; usually 30
DTYPES = {
    f"torch.{name}Storage": dtype
    for name, dtype in {"Float": torch.float32, "Double": torch.float64, "Half": torch.float16,
                        "BFloat16": torch.bfloat16, "Long": torch.int64, "Int": torch.int32, "Short": torch.int16,
                        "Char": torch.int8, "Byte": torch.uint8, "Bool": torch.bool}.items()
}  # fmt: skip


def load_file(path: Path) -> Any:
    """Return the value of a file of torch.save, or of a pickle, as `gan.utils.pickles.load` does.

    Raises:
        OSError: the file cannot be read.
        Exception: it is no such file, is damaged, or exceeds a limit.
    """
    with open_regular(path) as file:
        size = file.seek(0, 2)
        if not 0 < size <= MAX_FILE:
            raise ValueError(f"it has {size:,} bytes")
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))  # torch warns of memory it cannot write
    if view[: len(OLD)] == OLD:
        return load_old(view)
    return load_archive(path, view) if view[: len(ZIP)] == ZIP else load(Window(view))


def load_archive(path: Path, view: memoryview) -> Any:
    """Return the value of a file of torch.save, which is an archive: a pickle, and a member for each storage."""
    parts: dict[str, memoryview] = {}
    for member in check_archive(path):
        lengths = view[member.header_offset + ZIP_HEADER - 4 :][:4]
        start = member.header_offset + ZIP_HEADER + sum(int.from_bytes(lengths[n : n + 2], "little") for n in (0, 2))
        parts[member.filename.partition("/")[2]] = view[start : start + member.file_size]
    storages: dict[str, Record] = {}
    value = load(Window(parts["data.pkl"]), storages)
    for name, storage in storages.items():
        storage.state = parts[f"data/{name}"]
    return value


def load_old(view: memoryview, max_opcodes: int = MAX_OPCODES) -> Any:
    """Return the value of a file of torch.save before PyTorch 1.6: five pickles, the fourth with it, and storages."""
    window, storages = Window(view), dict[str, Record]()
    *_, value, names = [load(window, storages, max_opcodes) for _ in range(5)]
    for name in names:
        count = int.from_bytes(window.skip(8), "little")
        storages[name].state = window.skip(count * DTYPES[storages[name].kind].itemsize)
    return value


# ---- tensors and modules


def tensor(value: object) -> Tensor:
    """Return the tensor that a record of a tensor, a parameter, or a float32 array or number describes.

    Raises:
        ValueError: it describes none, or one that is not dense or larger than its storage.
    """
    match value:
        case Record("torch._utils._rebuild_parameter", (inside, *_)):
            return tensor(inside)
        case Record(
            "torch._utils._rebuild_tensor_v2",
            (Record() as storage, int(offset), tuple(size), tuple(strides), *_),
        ):
            return view_of(numbers(storage), size, offset, strides)
        case Record(
            _, _, (_, tuple(size), Record("numpy.dtype", ("f4", *_), (_, "<", *_)), False, memoryview() as data)
        ):
            return view_of(torch.frombuffer(data, dtype=torch.float32), size)
        case Record(_, (Record("numpy.dtype", ("f4", *_)), memoryview() as data)):
            return view_of(torch.frombuffer(data, dtype=torch.float32), ())
    raise ValueError("a tensor is of another kind")


def numbers(storage: Record) -> Tensor:
    """Return the numbers (n,) of a storage, which may be a file of torch.save itself."""
    match storage:
        case Record("torch.storage._load_from_bytes", (memoryview() as data,)):
            if storage.state is None:  # read once, however many tensors have it
                storage.state = load_old(data, MAX_OPCODES_OF_STORAGE)
            return numbers(storage.state)
        case Record(kind, _, memoryview() as data) if kind in DTYPES:
            return torch.frombuffer(data, dtype=DTYPES[kind])
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
    tensors = {str(name): tensor(value) for name, value in values.items() if isinstance(value, Record)}
    check_sizes(tensors)
    parallel = all(name.startswith("module.") for name in tensors)
    return {name.removeprefix("module.") if parallel else name: value for name, value in tensors.items()}


def check_sizes(tensors: dict[str, Tensor]) -> None:
    """Raise ValueError if tensors are much larger than their storages, which many of them may share."""
    storages = {part.data_ptr(): part.nbytes() for part in (value.untyped_storage() for value in tensors.values())}
    if sum(value.nbytes for value in tensors.values()) > 2 * sum(storages.values()):
        raise ValueError("its tensors are larger than their storages")


def state_of(value: object) -> dict[str, Any]:
    """Return the attributes of a pickled object. NVIDIA's networks have them next to their source code."""
    match value:
        case Record("torch_utils.persistence._reconstruct_persistent_obj", ({"state": dict(state)},)):
            return state
        case Record(_, _, dict(state)):
            return state
    return {}


def modules(module: Any, separator: str, children: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the prefix of names and the attributes of a pickled module, and of those in it.

    Args:
        separator: between the names of modules.
        children: name of the attribute with the modules in a module.
    """
    waiting, entries = [("", state_of(module))], 0
    for prefix, state in waiting:
        entries += len(state) + sum(len(part) for part in state.values() if isinstance(part, dict | list))
        if entries > MAX_ENTRIES or len(prefix) > MAX_NAME:  # a module may be in itself
            raise ValueError("it has too many modules")
        yield prefix, state
        waiting += [(f"{prefix}{name}{separator}", state_of(child)) for name, child in state.get(children, {}).items()]


def of_module(module: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the parameters and buffers of a pickled module and of those in it, and their other attributes, by name."""
    tensors: dict[str, Tensor] = {}
    attributes: dict[str, Any] = {}
    for prefix, state in modules(module, ".", "_modules"):
        for name, value in [*state.get("_parameters", {}).items(), *state.get("_buffers", {}).items()]:
            if value is not None:
                tensors[f"{prefix}{name}"] = tensor(value)
        plain = {name: value for name, value in state.items() if isinstance(value, str | int | float)}
        attributes |= {f"{prefix}{name}": value for name, value in plain.items()}
    check_sizes(tensors)
    return tensors, attributes
