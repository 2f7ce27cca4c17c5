"""A hostile cache: no code in it runs, no file outside is changed, and the cache is rebuilt."""

from __future__ import annotations

import json
import os
import pickle
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan.data.decoding import cache
from gan.data.decoding.decode import Decoder
from gan.data.sources.files import ImageFiles
from gan.data.sources.torchvision import TorchvisionDataset
from gan.evaluation import feature_cache
from gan.metrics.extractors import extractor
from gan.utils.errors import UserError

pytestmark = pytest.mark.slow

DECODER = Decoder((4, 4), channels=1)
MEMORY = 256 << 20  # bytes


class Bomb:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.canary}",)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Provide a cache, and check that files beside it stay unchanged, no code ran, and memory was limited."""
    monkeypatch.setenv("RETRO_GAN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "images").mkdir()
    for value in range(3):
        Image.new("L", (4, 4), value).save(tmp_path / "images" / f"{value}.png")
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("pixels-1", "index-1.json", "precious"):
        (outside / name).write_bytes(b"old" * 100)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield tmp_path / "cache"
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MEMORY
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "images", "outside"]
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == dict.fromkeys(
        ("pixels-1", "index-1.json", "precious"), b"old" * 100
    )


def values(tmp_path: Path) -> list[int]:
    found = cache.load_images(ImageFiles([str(tmp_path / "images")]), DECODER)
    return found.pixels[found.rows()][:, 0, 0, 0].tolist()


def set_file(index: dict[str, Any]) -> None:
    index["file"] = "../../../outside/precious"


INDICES: dict[str, Callable[[dict[str, Any]], object]] = {
    "file leads out": set_file,
    "rows beyond the file": lambda index: index.update(rows=10**12),
    "rows of a wrong type": lambda index: index.update(rows="3"),
    "items of a wrong type": lambda index: index.update(items=[1, 2]),
}


@pytest.mark.parametrize("case", INDICES)
def test_a_planted_index(case: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert values(tmp_path) == [0, 1, 2]
    (path,) = folder.glob("images/*/index.json")
    index = json.loads(path.read_text())
    INDICES[case](index)
    path.write_text(json.dumps(index))
    assert values(tmp_path) == [0, 1, 2]
    assert json.loads(path.read_text())["rows"] == 3


def linked(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


FILES: dict[str, Callable[[Path, Path], object]] = {
    "deep": lambda path, out: path.write_text('{"items": ' + "[" * 200_000),
    "binary": lambda path, out: path.write_bytes(bytes(range(256))),
    "a pickle": lambda path, out: path.write_bytes(pickle.dumps(Bomb(out.parent / "canary"))),
    "a pipe": lambda path, out: piped(path),
    "a device": lambda path, out: linked(path, "/dev/zero"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_planted_file_for_an_index(case: str, folder: Path, tmp_path: Path) -> None:
    values(tmp_path)
    (path,) = folder.glob("images/*/index.json")
    FILES[case](path, tmp_path / "outside")
    assert values(tmp_path) == [0, 1, 2]


def header(shape: str, descr: str = "'<f4'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def saved(array: Any, path: Path) -> None:
    with open(path, "wb") as file:
        np.save(file, array, allow_pickle=True)


FEATURES: dict[str, Callable[[Path, Path], object]] = {
    "a pickle": lambda path, canary: path.write_bytes(pickle.dumps(Bomb(canary))),
    "pickled objects": lambda path, canary: saved(np.array([Bomb(canary)], object), path),
    "an archive": lambda path, canary: archive(path),
    "a huge shape": lambda path, canary: path.write_bytes(header("(3, 1000000000000)")),
    "a negative shape": lambda path, canary: path.write_bytes(header("(-3, 2)") + bytes(24)),
    "a deep header": lambda path, canary: path.write_bytes(header("(" * 9000)),
    "an open header": lambda path, canary: path.write_bytes(header("(3, 2")),
    "other images": lambda path, canary: saved(np.zeros((2, 5), np.float32), path),
    "whole numbers": lambda path, canary: saved(np.zeros((3, 5), np.int64), path),
    "one axis": lambda path, canary: saved(np.zeros(3, np.float32), path),
    "nothing": lambda path, canary: path.write_bytes(b""),
    "cut": lambda path, canary: path.write_bytes(header("(3, 5)") + bytes(20)),
    "a pipe": lambda path, canary: os.mkfifo(path),
    "a device": lambda path, canary: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("case", FEATURES)
def test_planted_features(case: str, folder: Path, tmp_path: Path) -> None:
    conv, images = extractor("random_conv"), torch.arange(3 * 3 * 64, dtype=torch.uint8).reshape(3, 3, 8, 8)
    path = feature_cache.cache_path(conv, images)
    path.parent.mkdir()
    FEATURES[case](path, tmp_path / "canary")
    found = feature_cache.cached_features(conv, images)
    assert len(found) == 3 and found.shape[1] > 5 and torch.isfinite(found).all()
    assert torch.equal(feature_cache.cached_features(conv, images), found)


def archive(path: Path, **arrays: Any) -> None:
    good = {"images": np.zeros((2, 4, 4), np.uint8), "labels": np.arange(2), "classes": np.array(["a", "b"])}
    with open(path, "wb") as file:
        np.savez(file, allow_pickle=True, **{**good, **arrays})


DOWNLOADS: dict[str, Callable[[Path, Path], object]] = {
    "a pickle": lambda path, canary: path.write_bytes(pickle.dumps(Bomb(canary))),
    "pickled classes": lambda path, canary: archive(path, classes=np.array([Bomb(canary)] * 2, object)),
    "pickled labels": lambda path, canary: archive(path, labels=np.array([Bomb(canary)] * 2, object)),
    "pickled images": lambda path, canary: archive(path, images=np.array([Bomb(canary)] * 2, object)),
    "no archive": lambda path, canary: path.write_text("text"),
    "nothing": lambda path, canary: path.write_bytes(b""),
}


@pytest.mark.parametrize("case", DOWNLOADS)
def test_planted_downloads(case: str, folder: Path, tmp_path: Path) -> None:
    (folder / "downloads").mkdir()
    path = folder / "downloads" / "fashion_mnist_train.npz"
    DOWNLOADS[case](path, tmp_path / "canary")
    with pytest.raises((UserError, ValueError), match=r"damaged|allow_pickle"):
        TorchvisionDataset("fashion_mnist").content(0)
