"""The cache: only new images are decoded, and processes share it."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gan.data.decoding import cache, pool
from gan.data.decoding.decode import Decoder
from gan.data.decoding.reader import ImageError
from gan.utils.errors import UserError
from tests.patience import wait_for

DECODER = Decoder((2, 3), channels=1)


class Squares:
    """Items are texts: "7" is one image of sevens, "1 2" two images, "bad" none."""

    title = "squares"
    trusted = False

    def __init__(self, texts: dict[str, str], log: Path | None = None) -> None:
        self.identity = ["squares"]
        self.keys = self.names = list(texts)
        self.texts = texts
        self.stamps = [0 if log else text for text in texts.values()]
        self.log = log
        self.made = cache.folder() / "made"  # as this process knows it: others may have started earlier

    def content(self, index: int) -> bytes:
        return self.texts[self.keys[index]].encode()

    def decode(self, data: bytes, decoder: Decoder) -> Iterator[np.ndarray]:
        if data == b"bad":
            raise ImageError("never any good")
        if data == b"deadly" and multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        with open(self.made, "ab") as file:
            file.write(data + b"\n")
        for value in data.split()[: None if decoder.frames == "all" else 1]:
            yield np.full((1, *decoder.size), int(value) % 256, np.uint8)


class Locked(Squares):
    def content(self, index: int) -> bytes:
        raise ImageError("permission denied")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RETRO_GAN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def made() -> list[str]:
    """Return the items that were decoded since the last call."""
    log = cache.folder() / "made"
    lines = log.read_text().split("\n")[:-1] if log.exists() else []
    log.unlink(missing_ok=True)
    return sorted(lines)


def values(source: Squares, decoder: Decoder = DECODER) -> list[int]:
    found = cache.load_images(source, decoder)
    pictures = found.pixels[found.rows]
    assert pictures.shape == (found.counts.sum(), *decoder.size, decoder.channels)
    assert (pictures == pictures[:, :1, :1]).all()
    return pictures[:, 0, 0, 0].tolist()


def numbers(n: int) -> dict[str, str]:
    return {f"item {index}": str(index) for index in range(n)}


@pytest.mark.parametrize("trusted", [False, True])
def test_images_and_errors(trusted: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(Squares, "trusted", trusted)
    texts = numbers(300) | {"item 7": "bad", "item 250": "bad"}
    found = cache.load_images(Squares(texts), DECODER)
    assert found.errors == {7: "never any good", 250: "never any good"}
    assert found.counts.tolist() == [0 if index in (7, 250) else 1 for index in range(300)]
    good = np.flatnonzero(found.counts)
    assert (found.pixels[found.rows][:, 0, 0, 0] == good % 256).all()
    assert not found.pixels.flags.writeable
    assert "squares: 300" in capsys.readouterr().out


def test_the_second_time_nothing_is_decoded() -> None:
    source = Squares(numbers(5) | {"wrong": "bad"})
    assert values(source) == list(range(5))
    assert len(made()) == 5
    assert values(source) == list(range(5)) and made() == []
    assert values(source, Decoder((4, 4), channels=1)) == list(range(5))  # other options are another entry
    assert len(made()) == 5


def test_only_new_items_are_decoded() -> None:
    texts = numbers(5)
    values(Squares(texts))
    made()
    texts |= {"item 2": "22", "new": "33"}  # changed, and added
    del texts["item 0"]
    assert values(Squares(texts)) == [1, 22, 3, 4, 33]
    assert made() == ["22", "33"]


def test_an_item_that_could_not_be_read_is_tried_again() -> None:
    """The stamp may be unchanged, because permissions do not change size or time of a file."""
    texts = {"item": "7"}
    assert list(cache.load_images(Locked(texts), DECODER).errors.values()) == ["permission denied"]
    assert cache.load_images(Squares(texts), DECODER).errors == {}


def test_a_mostly_unused_file_is_replaced(own_cache: Path) -> None:
    values(Squares(numbers(1200)))
    assert values(Squares({"a": "1", "b": "222"})) == [1, 222]
    (pixels,) = (own_cache / "images").glob("*/pixels-*")
    assert pixels.stat().st_size == 2 * 6


def test_several_images_per_item() -> None:
    texts = {"a": "1 2 3", "b": "bad", "c": "4", "d": "5 6"}
    assert values(Squares(texts)) == [1, 4, 5]
    assert values(Squares(texts), Decoder((2, 3), 1, frames="all")) == [1, 2, 3, 4, 5, 6]


def test_a_crashing_item_is_skipped() -> None:
    found = cache.load_images(Squares(numbers(40) | {"item 9": "deadly"}), DECODER)
    assert list(found.errors) == [9] and "crashed" in found.errors[9]
    assert found.counts.sum() == 39


def test_a_damaged_index_is_made_again(own_cache: Path) -> None:
    source = Squares(numbers(5))
    values(source)
    (index,) = (own_cache / "images").glob("*/index.json")
    text = index.read_text()
    for damage in (text[: len(text) // 2], "[]", json.dumps(json.loads(text) | {"rows": 50})):
        index.write_text(damage)
        assert values(source) == list(range(5))
        assert len(made()) >= 5
    next(index.parent.glob("pixels-*")).unlink()
    assert values(source) == list(range(5))


class Slow(Squares):
    def decode(self, data: bytes, decoder: Decoder) -> Iterator[np.ndarray]:
        time.sleep(0.01)
        return super().decode(data, decoder)


def make_slowly(count: int) -> None:
    cache.SAVE_SECONDS = 0.1
    pool.cores = lambda: 1
    cache.load_images(Slow(numbers(count)), DECODER)


def saved_items() -> int:
    indices = list((cache.folder() / "images").glob("*/index.json"))
    return len(json.loads(indices[0].read_text())["items"]) if indices else 0


def test_an_interrupted_process_loses_little() -> None:
    process = multiprocessing.get_context("spawn").Process(target=make_slowly, args=(1000,))
    process.start()
    wait_for(lambda: saved_items() >= 20)
    process.kill()
    process.join()
    made()
    assert values(Squares(numbers(1000))) == [index % 256 for index in range(1000)]
    # The decoder of the killed process outlives it by an item, which may be among these: hence 20 items above.
    assert 0 < len(made()) < 1000


def test_two_processes_at_once() -> None:
    processes = [multiprocessing.get_context("spawn").Process(target=make_slowly, args=(50,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(made()) == 50


def test_a_cache_that_cannot_be_written_raises(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_cache / "images").write_text("")  # a file in the way
    with pytest.raises(UserError, match=r"cache: .* cannot be used .*RETRO_GAN_CACHE"):
        values(Squares(numbers(3)))
    (own_cache / "images").unlink()
    monkeypatch.setattr(os, "fsync", lambda *words: os.truncate("absent", 1))  # as a full disk: an OSError
    with pytest.raises(UserError, match="free disk space"):
        values(Squares(numbers(3)))


def test_some_items(own_cache: Path) -> None:
    source = Squares(numbers(6))
    some = cache.load_images(source, DECODER, [4, 1])
    assert some.pixels[some.rows][:, 0, 0, 0].tolist() == [4, 1] and made() == ["1", "4"]
    assert values(source) == list(range(6)) and made() == ["0", "2", "3", "5"]
