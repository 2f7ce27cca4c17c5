"""Shards at a URL: downloads, the cache and its limit. A folder stands for a bucket."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from gan.data import stream as streams
from gan.data.stream import Storage, StreamingDataModule
from gan.utils.errors import UserError
from tests.data.test_stream import parts
from tests.shards import write_shards

URL = "s3://bucket/shards"


class FolderStore:
    """A folder that stands for a store, and records the names of the files that are downloaded."""

    def __init__(self, folder: Path, asked: list[str]) -> None:
        self.folder, self.asked = folder, asked

    def download(self, name: str, path: Path) -> None:
        self.asked.append(name)
        shutil.copy(self.folder / name, path)


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, list[str]]]:
    """Provide ten shards of four images behind URL, and the list of files that are downloaded."""
    monkeypatch.setenv("RETRO_GAN_CACHE", str(tmp_path / "cache"))
    folder, asked = write_shards(tmp_path / "bucket", parts(10), {"cat": 20, "a dog": 20}), []
    streams.store_of.cache_clear()
    monkeypatch.setattr(streams, "Store", lambda address: FolderStore(folder, asked))
    yield folder, asked
    streams.store_of.cache_clear()


def stream(root: str, **options: Any) -> StreamingDataModule:
    data = StreamingDataModule(root, 4, batch_size=8, num_workers=0, labels=True, **options)
    data.setup("fit")
    return data


def images(data: StreamingDataModule, batches: int = 20) -> torch.Tensor:
    return torch.cat([batch["image"] for batch in islice(data.train_dataloader(), batches)])


def test_a_url_is_as_its_folder(bucket: tuple[Path, list[str]]) -> None:
    folder, asked = bucket
    there, here = stream(URL, validation=0.2), stream(str(folder), validation=0.2)
    assert there.classes == ["cat", "a dog"] and asked == ["index.json"]
    assert torch.equal(images(there), images(here)) and len(there) == 32
    assert len(asked) == 1 + 8
    assert torch.equal(there.reals(9, held_out=True), here.reals(9, held_out=True))


def test_shards_are_downloaded_once(bucket: tuple[Path, list[str]]) -> None:
    first = images(stream(URL))
    assert len(bucket[1]) == 11
    assert torch.equal(images(stream(URL)), first)
    assert len(bucket[1]) == 12  # the index again


def test_the_cache_has_a_limit(bucket: tuple[Path, list[str]], tmp_path: Path) -> None:
    size = (bucket[0] / "shard-0.npy").stat().st_size
    data = stream(URL)
    data.storage.limit = 3 * size
    assert torch.equal(images(data), images(stream(str(bucket[0]))))
    assert len(list((tmp_path / "cache" / "shards").glob("*/*.npy"))) == 3
    assert len(bucket[1]) > 11


@pytest.mark.parametrize("limit", [0, 10**9])
def test_processes_with_one_cache_do_not_remove_what_others_read(limit: int, bucket: tuple[Path, list[str]]) -> None:
    first, second = (Storage(URL, limit) for _ in range(2))
    for process in (first, second):
        process.index()
    with first.file("shard-0.npy") as path:
        with second.file("shard-0.npy") as other:
            assert other.name == path.name == "shard-0.npy"
        assert path.read_bytes() == (bucket[0] / path.name).read_bytes()
    assert [path.name for path in first.folder.iterdir()] == (["shard-0.npy"] if limit else [])


def test_shards_of_another_index_are_not_used(bucket: tuple[Path, list[str]]) -> None:
    images(stream(URL))
    shutil.rmtree(bucket[0])
    write_shards(bucket[0], list(parts(12))[2:], {"cat": 20, "dog": 20})
    assert stream(URL).classes == ["cat", "dog"]
    assert torch.equal(images(stream(URL)), images(stream(str(bucket[0]))))


def test_errors_of_a_url(bucket: tuple[Path, list[str]]) -> None:
    data = stream(URL)
    for path in bucket[0].glob("*.npy"):
        path.unlink()
    with pytest.raises(UserError, match=r"shard shard-\d.npy cannot be read"):
        images(data)
    (bucket[0] / "index.json").unlink()
    with pytest.raises(UserError, match=r"data.root=s3://bucket/shards: cannot be read as shards"):
        stream(URL)
    with pytest.raises(UserError, match=r"data.root=ftp://host/shards: is not the URL of a folder in object storage"):
        stream("ftp://host/shards")
