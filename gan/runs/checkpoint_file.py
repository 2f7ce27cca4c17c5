"""Read checkpoints without executing code. No Lightning, so that a trained model loads quickly."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan.runs import checkpoints
from gan.utils import pickles
from gan.utils.errors import UserError, reason
from gan.utils.files import is_text
from gan.utils.untrusted import find_fault

FORMAT = 4  # version of the content; increased whenever older checkpoints can no longer be read
LICENSES = "licenses"  # key of the configuration: the licenses of the models from which the weights come, by name
KEYS = ("state_dict", "config", "images")  # needed to generate images
MAX_CLASSES, MAX_CLASS_NAME = 100_000, 1000  # characters


def load(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Load a checkpoint, which contains tensors and plain containers only.

    Raises:
        UserError: the file is missing, truncated, could run code, or is not a checkpoint of this program and FORMAT.
    """
    if not path.exists():
        raise UserError(f"{path}: no such checkpoint")
    if checkpoints.sidecar(path).exists() and (reason := checkpoints.find_damage(path)):
        raise UserError(f"{path}: damaged, {reason}")
    check_values(path, check_archive(path))
    try:
        with warnings.catch_warnings(action="ignore"):  # warnings about pickles, which are refused below
            checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        why = "checkpoints of this program contain tensors and plain containers only; other objects could run code"
        raise UserError(f"{path}: refused; {why}") from error
    except Exception as error:  # truncated zip files raise many kinds of error
        raise UserError(f"{path}: not a checkpoint, or truncated ({type(error).__name__})") from error
    check_tensors(checkpoint, path)
    check_content(checkpoint, path)
    return checkpoint


def check_archive(path: Path) -> list[zipfile.ZipInfo]:
    """Return the members of an uncompressed zip archive, as torch writes it; raise UserError for another file.

    Compressed members could be a thousand times larger in memory. torch's older formats are pickles, whose size in
    memory cannot be checked before they are read.
    """
    try:
        with open(path, "rb") as file:
            is_archive = file.read(4) == b"PK\x03\x04"
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        is_archive, members = False, []
    stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
    if not is_archive or not stored or sum(member.file_size for member in members) > path.stat().st_size:
        raise UserError(f"{path}: refused; not a checkpoint of this program, an uncompressed archive, or truncated")
    return members


def check_values(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Raise UserError if the pickle of a checkpoint has more values than `pickles.load` accepts, or slow keys of dicts.

    torch's reader has no such limits, and calls containers of Python. A file of a few megabytes could take a gigabyte,
    or a quarter of an hour. It finds the pickle by a name in upper or lower case.
    """
    for member in members:
        if member.filename.lower().endswith("/data.pkl"):
            try:
                with zipfile.ZipFile(path) as archive:
                    pickles.load(pickles.Window(memoryview(archive.read(member))), called="torch.")
            except Exception as error:  # a damaged or hostile pickle causes any kind of error
                raise UserError(f"{path}: refused; not a checkpoint of this program ({reason(error)})") from error


def check_tensors(checkpoint: object, path: Path) -> None:
    """Raise UserError if a tensor is not dense, has no values, or has more values than the file has bytes for.

    Call it before any value is read. A few bytes can describe a tensor of any size: with strides of 0, or sparse.
    """
    size = 0
    for tensor in tensors_in(checkpoint):
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type == "meta":
            raise UserError(f"{path}: refused; it has a tensor that is not a dense CPU tensor, as checkpoints have")
        size += tensor.numel() * tensor.element_size()
    if size > path.stat().st_size:
        raise UserError(f"{path}: its weights need more memory than the file has bytes; it is damaged or forged")


def tensors_in(value: object) -> Iterator[Tensor]:
    """Yield each tensor in nested dicts, lists and tuples once."""
    left, seen = [value], set()
    while left:
        node = left.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Tensor):
            yield node
        elif isinstance(node, dict):
            left.extend(node.values())
        elif isinstance(node, list | tuple | set):
            left.extend(node)


def check_content(checkpoint: Any, path: Path) -> None:
    """Raise UserError if a checkpoint has another format, or contents that this program does not write."""
    missing = [key for key in KEYS if not isinstance(checkpoint, dict) or key not in checkpoint]
    if missing:
        raise UserError(f"{path}: not a checkpoint of this program: it has no {missing[0]}")
    version = checkpoint.get("format")
    if type(version) is not int or version != FORMAT:
        shown = version if type(version) is int and 0 <= version < 1000 else "unknown"
        advice = "install the version that wrote it, or train again"
        raise UserError(f"{path}: checkpoint format {shown}, but this version reads format {FORMAT}; {advice}")
    state, config, images, classes = (*(checkpoint[key] for key in KEYS), checkpoint.get("classes", []))
    valid = {
        "state_dict": isinstance(state, dict) and all(isinstance(name, str) for name in state),
        "number of images": type(images) is int and 0 <= images < 2**63,
        "configuration": isinstance(config, dict) and find_fault(config) is None,
        "classes": isinstance(classes, list) and are_classes(classes),
    }
    if wrong := [name for name in valid if not valid[name]]:
        raise UserError(f"{path}: not a checkpoint of this program: its {wrong[0]} is not valid")


def are_classes(names: list[Any]) -> bool:
    """Return whether all elements of a list can be class names: strings such as names of folders."""
    valid = (isinstance(name, str) and len(name) <= MAX_CLASS_NAME and is_text(name) for name in names)
    return len(names) <= MAX_CLASSES and all(valid)
