"""Decoded once: in processes or not, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gan.data import cache
from gan.data.decode import ImageError


def square(index: int) -> np.ndarray:
    if index % 100 == 7:
        raise ImageError("the seventh is never any good")
    return np.full((1, 2, 3), index % 256, np.uint8)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RETRO_GAN_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("count", [3, 108, 600])  # 600 goes to processes
def test_images_and_errors(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    images, errors = cache.images(["squares", count], square, count, (1, 2, 3), "squares")
    assert images.shape == (count, 1, 2, 3)
    assert list(errors) == list(range(7, count, 100))
    good = [index for index in range(count) if index not in errors]
    assert (images[good] == np.array([index % 256 for index in good])[:, None, None, None]).all()
    assert "squares" in capsys.readouterr().out


def test_the_second_time_nothing_is_made(own_cache: Path) -> None:
    cache.images(["key"], square, 3, (1, 2, 3), "")

    def fail(index: int) -> np.ndarray:
        raise AssertionError("made again")

    images, _ = cache.images(["key"], fail, 3, (1, 2, 3), "")
    assert images[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert not images.flags.writeable
    with pytest.raises(AssertionError):
        cache.images(["another key"], fail, 3, (1, 2, 3), "")
    assert not list(own_cache.rglob(".making-*"))
