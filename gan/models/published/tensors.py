"""Read the tensors of pickles and of the files of torch.save, in both of its formats, without running code.

The tensors are views of the file, so that a weight takes memory only when it is copied into a network.
"""

from __future__ import annotations

import math
import mmap
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan.models.published.pickles import MAX_NAME, MAX_OPCODES, Record, Window, load
from gan.utils.untrusted import open_regular

MAGIC = 0x1950A86A20F9469CFC6C  # first value of the older format of torch.save
ZIP = b"PK\x03\x04"  # first bytes of the newer format
MAX_FILE = 4 << 30  # bytes
MAX_DIRECTORY = 1 << 21  # bytes of the list of files in a ZIP; enough for 20,000
MAX_SMALL = 1000  # opcodes of a pickle that has only one storage, or facts about the file
MAX_MODULES = 1000
DTYPES = ("float", "half", "bfloat16", "double", "long", "int", "short", "bool")  # of torch.FloatStorage and so on


@dataclass
class Storage:
    """The memory of tensors. `data` is None until it is found."""

    dtype: torch.dtype
    numbers: int
    data: memoryview | None = None


def load_file(path: Path) -> Any:
    """Return the value of a pickle or of a file of torch.save, as `gan.models.published.pickles.load` does.

    Raises:
        OSError: the file cannot be read.
        ValueError, IndexError, KeyError, TypeError: it is no such file, is damaged, or exceeds a limit.
    """
    with open_regular(path) as file:
        size = file.seek(0, 2)
        if not 0 < size <= MAX_FILE:
            raise ValueError(f"it has {size:,} bytes")
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))  # torch warns of memory it cannot write
    return load_zip(view) if view[:4] == ZIP else load_pickle(view)


def load_pickle(view: memoryview, max_opcodes: int = MAX_OPCODES) -> Any:
    """Return the value of a pickle, or of a file in the older format of torch.save.

    That has pickles of MAGIC, a version, facts about the machine, the value and the keys of storages; then storages.
    """
    window = Window(view)
    value = load(window, max_opcodes=max_opcodes)
    if value != MAGIC:
        return value
    storages: dict[str, Storage] = {}
    load(window, max_opcodes=MAX_SMALL)
    load(window, max_opcodes=MAX_SMALL)
    value = load(window, lambda identifier: storage_of(identifier, storages), max_opcodes)
    for key in load(window, max_opcodes=max_opcodes):
        storage = storages[key]
        if int.from_bytes(window.skip(8), "little") != storage.numbers:
            raise ValueError("a tensor has another size")
        storage.data = window.skip(storage.numbers * storage.dtype.itemsize)
    return value


def load_zip(view: memoryview) -> Any:
    """Return the value of a file in the newer format of torch.save: a ZIP with data.pkl and a file for each storage."""
    archive = zipfile.ZipFile(Window(view, MAX_DIRECTORY))
    entries = {entry.filename: entry for entry in archive.infolist()}
    start = next((name.removesuffix("data.pkl") for name in entries if name.endswith("data.pkl")), None)
    if start is None:
        raise ValueError("it is a ZIP, but not of torch.save")
    storages: dict[str, Storage] = {}
    pickle = Window(stored(view, entries[f"{start}data.pkl"]))
    value = load(pickle, lambda identifier: storage_of(identifier, storages))
    for key, storage in storages.items():
        storage.data = stored(view, entries[f"{start}data/{key}"])
    return value


def stored(view: memoryview, entry: zipfile.ZipInfo) -> memoryview:
    """Return the content of a file in a ZIP. It must be uncompressed, as torch.save writes it."""
    window = Window(view)
    window.seek(entry.header_offset)
    header = window.skip(30)
    window.skip(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"))  # name and extra
    data = window.skip(entry.file_size)
    if entry.compress_type != zipfile.ZIP_STORED or zlib.crc32(data) != entry.CRC:
        raise ValueError("it is compressed or damaged")
    return data


def storage_of(identifier: Any, storages: dict[str, Storage]) -> Storage:
    """Return the storage for a persistent id of torch.save: ("storage", type, key, device, numbers, maybe None)."""
    match identifier:
        case ("storage", str(kind), str(key), _, int(numbers), *rest) if rest in ([], [None]) and numbers >= 0:
            name = kind.removeprefix("torch.").removesuffix("Storage").lower()
            if name in DTYPES:
                return storages.setdefault(key, Storage(getattr(torch, name), numbers))
    raise ValueError("it has a storage of another kind")


# ---- tensors and modules


def tensor(value: Any) -> Tensor:
    """Return the tensor that a record of a tensor, a parameter, or a float32 array or number of NumPy describes.

    Raises:
        ValueError: it describes none, or one that is not dense or larger than its storage.
    """
    match value:
        case Record("torch._utils._rebuild_parameter", (inside, *_)):
            return tensor(inside)
        case Record("torch._utils._rebuild_tensor_v2", (storage, int(offset), tuple(size), tuple(strides), *_)):
            if isinstance(storage, Record) and storage.kind == "torch.storage._load_from_bytes":
                storage = load_pickle(storage.arguments[0], MAX_SMALL)
            if isinstance(storage, Storage) and storage.data is not None:
                return view_of(storage.data, storage.dtype, size, offset, strides)
        case Record(
            _, _, (_, tuple(size), Record("numpy.dtype", ("f4", *_), (_, "<", *_)), False, memoryview() as data)
        ):
            return view_of(data, torch.float32, size)
        case Record(_, (Record("numpy.dtype", ("f4", *_)), memoryview() as data)):
            return view_of(data, torch.float32, ())
    raise ValueError("a tensor is of another kind")


def view_of(
    data: memoryview, dtype: torch.dtype, size: tuple[Any, ...], offset: int = 0, strides: tuple[Any, ...] | None = None
) -> Tensor:
    """Return a view of memory as a tensor; raise ValueError if it is not dense or does not fit into the memory."""
    if strides is None:
        strides = tuple(math.prod(size[n + 1 :]) for n in range(len(size)))
    if len(strides) != len(size) or not all(type(n) is int and n >= 0 for n in (offset, *size, *strides)):
        raise ValueError("a tensor has another size")
    numbers = math.prod(size)
    span = 1 + sum((n - 1) * step for n, step in zip(size, strides, strict=True))
    if not numbers or span != numbers or (offset + span) * dtype.itemsize > len(data):
        raise ValueError("a tensor does not fit into its storage")
    flat = torch.frombuffer(data, dtype=dtype, count=numbers, offset=offset * dtype.itemsize)
    return flat.as_strided(size, strides)


def state_dict(values: dict[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of a state dict. The `module.` of names, which DistributedDataParallel adds, is removed."""
    tensors = {str(name): tensor(value) for name, value in values.items() if isinstance(value, Record)}
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
        attributes |= {
            f"{prefix}{name}": value for name, value in state.items() if isinstance(value, str | int | float)
        }
        waiting += [(f"{prefix}{name}.", child) for name, child in state.get("_modules", {}).items()]
        if len(waiting) > MAX_MODULES or len(prefix) > MAX_NAME:
            raise ValueError("it has too many modules")
    return tensors, attributes
