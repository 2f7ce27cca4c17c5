"""A hostile folder of shards: no code in it runs, no file outside is changed, and the error is one line."""

from __future__ import annotations

import json
import os
import pickle
import resource
import shutil
import struct
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gan.data.decoding.decode import Decoder
from gan.data.shards.pack import pack
from gan.data.shards.stream import StreamingDataModule
from gan.run.launch import errors_in_one_line

pytestmark = pytest.mark.slow

pytest.importorskip("litdata")

MEMORY = 256 << 20  # bytes that reading such a folder may take


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pack eight images of 4 x 4 pixels as shards of one image."""
    root = tmp_path_factory.mktemp("shards")
    (root / "images").mkdir()
    for index in range(8):
        Image.new("RGB", (4, 4), (index, 0, 0)).save(root / "images" / f"{index}.png")
    assert pack([str(root / "images")], root / "shards", Decoder((4, 4)), False, 1) == 8
    return root / "shards"


class Bomb:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.canary}",)


def pickled(index: dict[str, Any], folder: Path, canary: Path) -> None:
    index["config"]["data_format"][0] = "pickle"
    bombs(index, folder, canary)


def graph(index: dict[str, Any], folder: Path, canary: Path) -> None:
    index["config"]["data_format"][0] = "graph:pickle"
    bombs(index, folder, canary)


def bombs(index: dict[str, Any], folder: Path, canary: Path) -> None:
    payload = pickle.dumps(Bomb(canary))
    item = struct.pack("<3I", len(payload), 8, 8) + payload + struct.pack("<2q", 0, 0)
    for chunk in index["chunks"]:
        (folder / chunk["filename"]).write_bytes(struct.pack("<3I", 1, 12, 12 + len(item)) + item)
        chunk["chunk_bytes"] = 12 + len(item)


def setting(*path: str | int, value: Any) -> Callable[..., None]:
    def change(index: dict[str, Any], folder: Path, canary: Path) -> None:
        at: Any = index
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value

    return change


def elsewhere(name: str) -> Callable[..., None]:
    """A valid shard outside of the folder."""

    def change(index: dict[str, Any], folder: Path, canary: Path) -> None:
        path = str(folder.parent / "outside.bin") if name == "/" else name
        shutil.copy(folder / index["chunks"][0]["filename"], folder.parent / "outside.bin")
        for chunk in index["chunks"]:
            chunk["filename"] = path

    return change


def shard(change: Callable[[bytearray], bytes | bytearray]) -> Callable[..., None]:
    def damage(index: dict[str, Any], folder: Path, canary: Path) -> None:
        for path in folder.glob("*.bin"):
            path.write_bytes(change(bytearray(path.read_bytes())))

    return damage


def number(at: int, value: int) -> Callable[[bytearray], bytearray]:
    """Change four bytes in the header or first item of a shard: sizes of leaves, or type, axes and shape."""

    def change(data: bytearray) -> bytearray:
        struct.pack_into("<I", data, at, value)
        return data

    return change


def missing(index: dict[str, Any], folder: Path, canary: Path) -> None:
    for path in folder.glob("*.bin"):
        path.unlink()


def pipes(index: dict[str, Any], folder: Path, canary: Path) -> None:
    for path in folder.glob("*.bin"):
        path.unlink()
        os.mkfifo(path)


def directory(index: dict[str, Any], folder: Path, canary: Path) -> None:
    for path in folder.glob("*.bin"):
        path.unlink()
        path.mkdir()


SPEC = '[1, {"type": "%s", "context": %s, "children_spec": []}]'
HOSTILE = {
    "pickle": pickled,
    "graph": graph,
    "file": setting("config", "data_format", value=["file", "int", "int"]),
    "no formats": setting("config", "data_format", value=[]),
    "formats of a wrong type": setting("config", "data_format", value={"numpy": 1}),
    "too many formats": setting("config", "data_format", value=["numpy"] * 1_000_000),
    "defaultdict of a module": setting(
        "config",
        "data_spec",
        value=SPEC
        % ("collections.defaultdict", json.dumps('{"default_factory_module": "os", "default_factory_name": "system"}')),
    ),
    "deep spec": setting("config", "data_spec", value="[" * 100_000),
    "no spec": setting("config", "data_spec", value=None),
    "compression": setting("config", "compression", value="zstd"),
    "compression in shards": setting("config", "compression_level", value="batch"),
    "encryption": setting("config", "encryption", value={"algorithm": "fernet", "level": "chunk"}),
    "another loader": setting("config", "item_loader", value="ParquetLoader"),
    "what is not known": setting("config", "plugin", value="os.system"),
    "config of a wrong type": setting("config", value=[1]),
    "no chunks": setting("chunks", value=[]),
    "chunks of a wrong type": setting("chunks", value={"a": 1}),
    "a chunk of a wrong type": setting("chunks", 0, value=7),
    "name leads out": elsewhere("../outside.bin"),
    "absolute name": elsewhere("/"),
    "name of a wrong type": setting("chunks", 0, "filename", value=["chunk-0-0.bin"]),
    "name with a null byte": setting("chunks", 0, "filename", value="chunk-0-0.bin\0"),
    "one shard twice": setting("chunks", 1, "filename", value="chunk-0-0.bin"),
    "huge count": setting("chunks", 0, "chunk_size", value=1 << 60),
    "negative count": setting("chunks", 0, "chunk_size", value=-1),
    "true for a count": setting("chunks", 0, "chunk_size", value=True),
    "more images than there are": setting("chunks", 0, "chunk_size", value=40),
    "bytes of a wrong type": setting("chunks", 0, "chunk_bytes", value="many"),
    "classes of a wrong type": setting("classes", value=["a", "b"]),
    "classes that shards lack": setting("classes", value={"a": 4, "b": 4}),
    "too many classes": setting("classes", value=dict.fromkeys(map(str, range(200_000)), 0)),
    "huge name of a class": setting("classes", value={"a" * 100_000: 8}),
    "name of a class that no file can have": setting("classes", value={"\ud800": 4, "b": 4}),
    "negative count of a class": setting("classes", value={"a": -1, "b": 9}),
    "counts of other images": setting("classes", value={"a": 1 << 60, "b": 4}),
    "name for a count": setting("classes", value={"a": "b"}),
    "missing shards": missing,
    "pipes for shards": pipes,
    "folders for shards": directory,
    "empty shards": shard(lambda data: b""),
    "cut shards": shard(lambda data: data[:50]),
    "longer shards": shard(lambda data: data + b"x" * 1000),
    "more items": shard(number(0, 1_000_000)),
    "first offset": shard(number(4, 1 << 31)),
    "last offset": shard(number(8, 1 << 31)),
    "frames of zstd": shard(lambda data: b"LDFZ01\0\0" + data),
    "objects for pixels": shard(number(24, 17)),
    "floats for pixels": shard(number(24, 9)),
    "huge shape": shard(number(32, 1 << 31)),
    "other shape": shard(lambda data: number(32, 2)(number(36, 8)(data))),
    "many axes": shard(number(28, 1 << 31)),
    "label that is no class": shard(lambda data: number(len(data) - 16, 5)(data)),
    "endless classes": shard(lambda data: number(len(data) - 4, 1 << 20)(data)),
}


def refuse(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the error of train.py for such a folder."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SystemExit) as end, errors_in_one_line():
        data = StreamingDataModule(str(folder), size=4, batch_size=8, num_workers=0)
        data.setup("fit")
        list(islice(data.train_dataloader(), 4))
    assert end.value.code == 2
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MEMORY
    error = capsys.readouterr().err
    assert error.startswith("error: data.root") and error.count("\n") == 1 and len(error) < 700, error
    return error


@pytest.fixture(autouse=True)
def untouched(tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Provide a copy of the shards to damage, and check that files beside it stay unchanged and no code ran."""
    monkeypatch.setenv("GAN_FULL_ERROR", "0")
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    shutil.copytree(whole, tmp_path / "shards")
    (tmp_path / "precious").write_text("old")
    yield tmp_path / "shards"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "outside.bin") == ["precious", "shards"]
    assert (tmp_path / "precious").read_text() == "old"


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
    assert (tmp_path / "outside.bin").exists() == (case in ("name leads out", "absolute name"))


def pipe(path: Path) -> None:
    os.mkfifo(path)


INDICES: dict[str, Callable[[Path], object]] = {
    "deep": lambda path: path.write_text('{"chunks": ' + "[" * 200_000),
    "50 MB": lambda path: path.write_text('{"chunks": [' + "0," * 25_000_000 + "0]}"),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 9),
    "empty": lambda path: path.write_text(""),
    "a list": lambda path: path.write_text("[]"),
    "a pipe": pipe,
    "a folder": lambda path: path.mkdir(),
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("case", INDICES)
def test_hostile_indices(case: str, untouched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (untouched / "index.json").unlink()
    INDICES[case](untouched / "index.json")
    refuse(untouched, capsys)
