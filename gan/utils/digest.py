"""Digests of bytes, files and tensors: 16 bytes of BLAKE2b; and seeds from a key. No torch at import."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SIZE = 16  # bytes


def of_bytes(data: bytes | memoryview) -> str:
    """Return the digest of bytes: 32 hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=SIZE).hexdigest()


def of_tensor(values: Tensor) -> str:
    """Return the digest of the values of a tensor, which does not depend on its device or shape."""
    return of_bytes(values.detach().cpu().contiguous().numpy().data)


def of_tensors(tensors: Iterable[tuple[str, Tensor]]) -> str:
    digest = hashlib.blake2b(digest_size=SIZE)
    for name, values in tensors:
        digest.update(name.encode())
        digest.update(values.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def of_file(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=SIZE)).hexdigest()


def seed_of(*key: object) -> int:
    """Return a seed in 0..2^63-1 that depends on the key only. It is the same in every process and on every machine."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "big") >> 1
