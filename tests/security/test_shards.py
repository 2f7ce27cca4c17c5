"""A hostile folder of shards: no code in it runs, no file outside is changed, and the error is one line."""

import json
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan.config.launch import errors_in_one_line
from gan.data.decoding.decode import Decoder
from gan.data.shards import pack
from gan.data.stream import StreamingDataModule

from .checkpoints import Bomb

pytestmark = pytest.mark.slow

MEMORY = 256 << 20  # bytes that reading such a folder may take


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pack eight images of 4 x 4 pixels as shards of one image."""
    root = tmp_path_factory.mktemp("shards")
    (root / "images").mkdir()
    for index in range(8):
        Image.new("RGB", (4, 4), (index, 0, 0)).save(root / "images" / f"{index}.png")
    assert pack([str(root / "images")], root / "shards", Decoder((4, 4)), False) == 8
    return root / "shards"


def pickles(index: dict[str, Any], folder: Path, canary: Path) -> None:
    """Write arrays of objects, which NumPy stores as pickles."""
    for path in folder.glob("*.npy"):
        np.save(path, np.array([Bomb(canary)], object), allow_pickle=True)


def outside(index: dict[str, Any], folder: Path, canary: Path) -> None:
    """Name a valid shard outside of the folder."""
    shutil.copy(folder / "shard-0.npy", folder.parent / "outside.npy")
    index["shards"]["../outside.npy"] = index["shards"].pop("shard-0.npy")


def pipes(index: dict[str, Any], folder: Path, canary: Path) -> None:
    for path in folder.glob("*.npy"):
        path.unlink()
        os.mkfifo(path)


def shard(change: Callable[[bytes], bytes]) -> Callable[..., None]:
    def damage(index: dict[str, Any], folder: Path, canary: Path) -> None:
        for path in folder.glob("*.npy"):
            path.write_bytes(change(path.read_bytes()))

    return damage


HOSTILE: dict[str, Callable[..., object]] = {
    "pickles": pickles,
    "name leads out": outside,
    "pipes for shards": pipes,
    "no shards": lambda index, *_: index.update(shards={}),
    "huge count": lambda index, *_: index["shards"].update({"shard-0.npy": 1 << 60}),
    "more images than there are": lambda index, *_: index["shards"].update({"shard-0.npy": 40}),
    "cut shards": shard(lambda data: data[:50]),
    "huge shape": shard(lambda data: data.replace(b"(1,)          ", b"(100000000000,)", 1)[:-1]),
    "an archive": shard(lambda data: b"PK\3\4" + data[4:]),
}


def refuse(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Check the error of train.py for such a folder."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SystemExit) as end, errors_in_one_line():
        data = StreamingDataModule(str(folder), size=4, batch_size=8, num_workers=0)
        data.setup("fit")
        list(islice(data.train_dataloader(), 4))
    assert end.value.code == 2
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MEMORY
    error = capsys.readouterr().err
    assert error.startswith("error: data.root") and error.count("\n") == 1 and len(error) < 700, error


@pytest.fixture(autouse=True)
def untouched(tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Provide a copy of the shards to damage, and check that files beside it stay unchanged and no code ran."""
    monkeypatch.setenv("GAN_FULL_ERROR", "0")
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    shutil.copytree(whole, tmp_path / "shards")
    yield tmp_path / "shards"
    assert {path.name for path in tmp_path.iterdir()} <= {"shards", "outside.npy"}


def test_good_ones_are_read(untouched: Path) -> None:
    data = StreamingDataModule(str(untouched), size=4, batch_size=8, num_workers=0)
    data.setup("fit")
    (batch,) = islice(data.train_dataloader(), 1)
    assert batch["image"].shape == (8, 3, 4, 4)


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_shards(case: str, untouched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = json.loads((untouched / "index.json").read_text())
    HOSTILE[case](index, untouched, tmp_path / "canary")
    (untouched / "index.json").write_text(json.dumps(index))
    refuse(untouched, capsys)


INDICES: dict[str, Callable[[Path], object]] = {
    "deep": lambda path: path.write_text('{"chunks": ' + "[" * 200_000),
    "a list": lambda path: path.write_text("[]"),
    "empty lists": lambda path: path.write_text('{"shape": [' + "[]," * 5_000_000 + "1]}"),
    "a number": lambda path: path.write_text("3"),
    "a pipe": lambda path: os.mkfifo(path),
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("case", INDICES)
def test_hostile_indices(case: str, untouched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (untouched / "index.json").unlink()
    INDICES[case](untouched / "index.json")
    refuse(untouched, capsys)
