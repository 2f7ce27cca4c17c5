"""The train/validation split, which depends on each image alone and not on the order or number of the others."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from gan.settings import GROUPINGS
from gan.utils.errors import UserError, choice


def select(
    grouping: str, names: Sequence[str], pixels: Iterable[np.ndarray], fraction: float, seed: int = 0
) -> np.ndarray:
    """Return a mask, bool (N,), of about `fraction` of the images, with each group on one side.

    The hash of a group's key decides its side, so that an image keeps its side when others are added or removed. If one
    side would be empty, the group with the smallest (or largest) hash moves to it.

    Args:
        grouping: "file": each file is a group. "folder": the images of a folder are a group, such as a deck or class.
            "prefix": files of a folder whose names agree up to the first "_" or "-" are a group, such as crops of a
            photograph or frames of a film. "content": images with equal pixels are a group.
        seed: seed of the hash.
    """
    choice("data.split", grouping, GROUPINGS)
    check_fraction(fraction)
    hashes = np.array([_hash(key, seed) for key in group_keys(grouping, names, pixels)])
    groups = np.unique(hashes)
    if len(groups) < 2:
        advice = "give at least 2 files" if grouping == "file" else f"use another of {', '.join(GROUPINGS)}"
        raise UserError(f"data.split={grouping}: all images are in one group; {advice}")
    selected = hashes < fraction
    if not selected.any():
        selected = hashes == groups[0]
    elif selected.all():
        selected = hashes < groups[-1]
    return selected


def check_fraction(fraction: object) -> None:
    """Raise UserError if the fraction to hold out is outside (0, 1)."""
    if not isinstance(fraction, int | float) or not 0 < fraction < 1:
        raise UserError(f"data.validation={fraction} must be between 0 and 1")


def group_keys(grouping: str, names: Sequence[str], pixels: Iterable[np.ndarray]) -> Iterator[bytes]:
    """Yield the key of the group of each image."""
    if grouping == "content":
        return (np.ascontiguousarray(image).tobytes() for image in pixels)
    if grouping == "folder":
        return (os.fsencode(posixpath.dirname(name)) for name in names)
    if grouping == "prefix":
        return (os.fsencode("/".join(_prefix(name))) for name in names)
    return (os.fsencode(name) for name in names)


def _prefix(name: str) -> tuple[str, str]:
    folder, file = posixpath.split(name)
    return folder, re.split("[_-]", posixpath.splitext(file)[0], maxsplit=1)[0]


def _hash(key: bytes, seed: int) -> float:
    """Return a hash of a key, uniformly distributed in [0, 1)."""
    return int.from_bytes(hashlib.blake2b(key, digest_size=6, salt=seed.to_bytes(16, "big")).digest(), "big") / 2**48
