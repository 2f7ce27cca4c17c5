"""A hostile cache: no code in it runs, no file outside is changed, and the cache is rebuilt.

tests/security/test_reader.py has an index that is no JSON of this program.
"""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan.data.decoding import cache
from gan.data.decoding.decode import Decoder
from gan.data.sources.files import ImageFiles
from gan.evaluation import feature_cache
from gan.metrics.extractors import extractor

from .checkpoints import Bomb
from .conftest import peak

pytestmark = pytest.mark.slow

MEMORY = 256 << 20  # bytes that reading hostile files may take


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RETRO_GAN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


@pytest.mark.parametrize("change", [{"file": "../../../outside"}, {"rows": 10**12}])
def test_a_planted_index(change: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("L", (4, 4), 7).save(tmp_path / "images" / "0.png")
    (tmp_path / "outside").write_bytes(b"old" * 100)

    def pixel() -> int:
        found = cache.load_images(ImageFiles([str(tmp_path / "images")]), Decoder((4, 4), channels=1))
        return int(found.pixels[found.rows][0, 0, 0, 0])

    assert pixel() == 7
    (path,) = folder.glob("images/*/index.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert pixel() == 7 and json.loads(path.read_text())["rows"] == 1
    assert (tmp_path / "outside").read_bytes() == b"old" * 100


def header(shape: str) -> bytes:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def saved(array: Any, path: Path) -> None:
    with open(path, "wb") as file:
        np.save(file, array, allow_pickle=True)


FEATURES: dict[str, Callable[[Path, Path], object]] = {
    "a pickle": lambda path, canary: path.write_bytes(pickle.dumps(Bomb(canary))),
    "pickled objects": lambda path, canary: saved(np.array([Bomb(canary)], object), path),
    "a huge shape": lambda path, canary: path.write_bytes(header("(3, 1000000000000)")),
    "cut": lambda path, canary: path.write_bytes(header("(3, 5)") + bytes(20)),
    "a device": lambda path, canary: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("case", FEATURES)
def test_planted_features(case: str, folder: Path, tmp_path: Path) -> None:
    conv, images = extractor("random_conv"), torch.arange(3 * 3 * 64, dtype=torch.uint8).reshape(3, 3, 8, 8)
    path = feature_cache.cache_path(conv, images)
    path.parent.mkdir()
    FEATURES[case](path, tmp_path / "canary")
    before = peak()
    found = feature_cache.cached_features(conv, images)
    assert len(found) == 3 and found.shape[1] > 5 and torch.isfinite(found).all()
    written = path.stat().st_mtime_ns
    assert torch.equal(feature_cache.cached_features(conv, images), found) and path.stat().st_mtime_ns == written
    assert peak() - before < MEMORY and not (tmp_path / "canary").exists()
