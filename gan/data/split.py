"""Which images are for validation: a property of each image, whatever the order and the number of the others."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from gan.common.errors import UserError

KINDS = ("file", "folder", "prefix", "content")


def validation(
    kind: str, names: Sequence[str], pixels: Iterable[np.ndarray], fraction: float, seed: int = 0
) -> np.ndarray:
    """bool (N,): True for about `fraction` of the images, with what belongs together on one side.

    A group is on the validation side if the hash of its key says so, so an image never changes sides when others come
    or go; only where that leaves one side empty is the group with the least (or greatest) hash moved over.

    kind: what belongs together. "file" nothing; "folder" the images in one folder (a deck, a class); "prefix" those of
        one folder whose names agree up to the first "_" or "-" (crops of a photograph, frames of a film); "content"
        those with equal pixels.
    seed: another one draws another part.

    Raises UserError for a kind or fraction that isn't one, or where there is only one group.
    """
    if kind not in KINDS:
        raise UserError(f"data.split={kind}: not known; use one of {', '.join(KINDS)}, or null")
    if not 0 < fraction < 1:
        raise UserError(f"data.validation={fraction}: a share between 0 and 1")
    hashes = np.array([_hash(key, seed) for key in keys(kind, names, pixels)])
    groups = np.unique(hashes)
    if len(groups) < 2:
        raise UserError(f"data.split={kind}: all images belong together, take another kind")
    chosen = hashes < fraction
    if not chosen.any():
        chosen = hashes == groups[0]
    elif chosen.all():
        chosen = hashes < groups[-1]
    return chosen


def keys(kind: str, names: Sequence[str], pixels: Iterable[np.ndarray]) -> Iterator[bytes]:
    """Of each image, equal where two belong together."""
    if kind == "content":
        return (np.ascontiguousarray(picture).tobytes() for picture in pixels)
    if kind == "folder":
        return (os.fsencode(posixpath.dirname(name)) for name in names)
    if kind == "prefix":
        return (os.fsencode("/".join(_prefix(name))) for name in names)
    return (os.fsencode(name) for name in names)


def _prefix(name: str) -> tuple[str, str]:
    folder, file = posixpath.split(name)
    return folder, re.split("[_-]", posixpath.splitext(file)[0], maxsplit=1)[0]


def _hash(key: bytes, seed: int) -> float:
    """Uniform in [0, 1)."""
    return int.from_bytes(hashlib.blake2b(key, digest_size=6, salt=seed.to_bytes(16, "big")).digest(), "big") / 2**48
