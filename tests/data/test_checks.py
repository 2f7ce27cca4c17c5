"""Near-duplicates agree with a search of all pairs, and nearly empty images are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gan.data.checks import duplicates, find_groups, inspect_file
from gan.data.sources.files import find


def by_all_pairs(hashes: list[int], distance: int) -> set[frozenset[int]]:
    linked = [{index} for index in range(len(hashes))]
    for i, one in enumerate(hashes):
        for j, other in enumerate(hashes[:i]):
            if (one ^ other).bit_count() <= distance and linked[i] is not linked[j]:
                linked[i] |= linked[j]
                for member in linked[j]:
                    linked[member] = linked[i]
    return {frozenset(group) for group in linked if len(group) > 1}


@pytest.mark.parametrize("distance", [0, 1, 3, 6])
def test_groups_against_all_pairs(distance: int) -> None:
    random = np.random.default_rng(distance)
    hashes = [int(value) for value in random.integers(0, 2**64, 60, dtype=np.uint64)]
    for index in range(240):  # relatives of earlier ones, up to five bits apart
        bits = random.integers(0, 64, random.integers(0, 6))
        hashes.append(hashes[index] ^ int(np.bitwise_xor.reduce(1 << bits.astype(object), initial=0)))
    found = find_groups(np.array(hashes, np.uint64), distance)
    assert {frozenset(group) for group in found} == by_all_pairs(hashes, distance)
    assert found


def test_none_and_one() -> None:
    assert find_groups(np.array([], np.uint64), 3) == []
    assert find_groups(np.array([5], np.uint64), 3) == []
    assert find_groups(np.array([5, 5], np.uint64), 3) == [[0, 1]]


def test_nearly_empty_images_are_no_near_duplicates(tmp_path: Path) -> None:
    for name, box in (("bar", (20, 44, 80, 50)), ("square", (40, 40, 56, 56)), ("dot", (46, 46, 52, 52))):
        image = Image.new("RGB", (96, 96), "white")
        ImageDraw.Draw(image).rectangle(box, "orange")
        image.save(tmp_path / f"{name}.png")
    image.save(tmp_path / "copy.png")
    facts = [inspect_file(file) for file in find([str(tmp_path)])]
    assert all(fact.empty for fact in facts)
    assert duplicates(facts) == ([[1, 2]], [])
