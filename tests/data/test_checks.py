"""Near-duplicates agree with a search of all pairs, and nearly empty images are none."""

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
    found = find_groups(np.array(hashes, np.uint64), equal_thumbnails(len(hashes)), distance)
    assert {frozenset(group) for group in found} == by_all_pairs(hashes, distance)
    assert found


def test_none_and_one() -> None:
    for hashes, groups in (([5], []), ([5, 5], [[0, 1]])):
        assert find_groups(np.array(hashes, np.uint64), equal_thumbnails(len(hashes)), 3) == groups
    assert duplicates([]) == ([], [])


def equal_thumbnails(count: int) -> np.ndarray:
    return np.tile(np.array([0, 255], np.uint8), (count, 1))


def test_nearly_empty_images_are_no_near_duplicates(tmp_path: Path) -> None:
    for name, box in (("bar", (20, 44, 80, 50)), ("square", (40, 40, 56, 56)), ("dot", (46, 46, 52, 52))):
        image = Image.new("RGB", (96, 96), "white")
        ImageDraw.Draw(image).rectangle(box, "orange")
        image.save(tmp_path / f"{name}.png")
    image.save(tmp_path / "copy.png")
    image.resize((48, 48), Image.Resampling.BOX).save(tmp_path / "small.png")
    facts = [inspect_file(file) for file in find([str(tmp_path)])]
    assert duplicates(facts) == ([[1, 2]], [[1, 3]])


def test_flat_drawings_with_equal_hashes_are_no_near_duplicates(tmp_path: Path) -> None:
    """The hash of an image of few frequencies depends on the noise of the others."""
    for name, box in (("flag", (0, 0, 96, 32)), ("band", (0, 0, 96, 8))):
        image = Image.new("RGB", (96, 96), "white")
        ImageDraw.Draw(image).rectangle(box, "navy")
        image.save(tmp_path / f"{name}.png")
    flag, band = (inspect_file(file)._replace(hash=7) for file in find([str(tmp_path)]))
    assert duplicates([flag, band]) == ([], [])
    assert duplicates([flag, flag._replace(digest="another file")]) == ([], [[0, 1]])


def test_changed_copies_are_near_duplicates(tmp_path: Path) -> None:
    small = np.random.default_rng(0).integers(0, 200, (6, 6, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((96, 64), Image.Resampling.BICUBIC)
    image.save(tmp_path / "image.png")
    image.save(tmp_path / "compressed.jpg", quality=50)
    image.resize((48, 32)).save(tmp_path / "resized.png")
    image.point(lambda level: round(level * 1.1)).save(tmp_path / "brighter.png")
    Image.fromarray(255 - np.asarray(image)).save(tmp_path / "negative.png")
    files = find([str(tmp_path)])
    _, near = duplicates([inspect_file(file) for file in files])
    assert [[files[place].name for place in group] for group in near] == [
        ["brighter.png", "compressed.jpg", "image.png", "resized.png"]
    ]
