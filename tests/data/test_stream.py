"""Shards: one order for any number of ranks and workers, from any start; downloads, the cache and its limit."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.api import load
from gan.data import stream as streams
from gan.data.shards import read_index, read_shard
from gan.data.stream import ShardGroup, Storage, StreamingDataModule, held_out_shards, shard_groups
from gan.utils import object_store
from gan.utils.errors import UserError
from tests.conftest import TINY, Train
from tests.shards import write_shards


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96 shards of one image of one value each, in two classes."""
    images = ((np.full((1, 16, 16, 3), index, np.uint8), np.array([index % 2])) for index in range(96))
    return write_shards(tmp_path_factory.mktemp("packed") / "shards", images, {"a": 48, "b": 48})


def parts(count: int, side: int = 4, classes: int = 2) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield shards of four images. The first byte of an image is its number, and its label that modulo `classes`."""
    random = np.random.default_rng(0)
    for first in range(0, 4 * count, 4):
        images = random.integers(256, size=(4, side, side, 3), dtype=np.uint8)
        images[:, 0, 0, 0] = images[:, 0, -1, 0] = numbers = np.arange(first, first + 4)
        yield images, numbers % classes


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Ten shards of four images of 4 x 4 pixels, in two classes."""
    return write_shards(tmp_path / "small", parts(10), {"cat": 20, "a dog": 20})


def equal_ends(folder: Path, images: int) -> bool:
    """Return whether the runs `whole` and `parts` in a folder have equal weights after a number of images."""
    ends = [
        torch.load(folder / run / "checkpoints" / f"images-{images:09}.ckpt", weights_only=True)["state_dict"]
        for run in ("whole", "parts")
    ]
    return ends[0].keys() == ends[1].keys() and all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def stream(shards: Path | str, **options: object) -> StreamingDataModule:
    data = StreamingDataModule(str(shards), **{"size": 16, "batch_size": 8, "num_workers": 0, **options})
    data.setup("fit")
    return data


def test_pixels_and_labels(shards: Path) -> None:
    data = stream(shards, labels=True)
    assert len(data) == 96 and data.class_names() == ["a", "b"] and data.class_counts().tolist() == [48, 48]
    seen = Counter[int]()
    for batch in islice(data.train_dataloader(), 12 * 5):
        assert batch["image"].shape == (8, 3, 16, 16) and batch["image"].dtype == torch.uint8
        assert batch["image"].is_contiguous(memory_format=torch.channels_last)
        values = batch["image"][:, 0, 3, 3]
        assert (values % 2 == batch["label"]).all()
        seen.update(values.tolist())
    assert set(seen) == set(range(96)) and max(seen.values()) - min(seen.values()) <= 2
    assert torch.equal(data.reals(20), torch.cat([b["image"] for b in islice(data.train_dataloader(), 3)])[:20])


@pytest.mark.parametrize(("ranks", "start", "flip"), [(2, 0, False), (4, 3, True), (8, 20, False)])
def test_ranks_together_see_the_batches_of_one(shards: Path, ranks: int, start: int, flip: bool) -> None:
    data = stream(shards, flip=flip)
    whole = [batch["image"] for batch in islice(data._batches(0, 1, 0), start + 4)][start:]
    parts = [list(islice(data._batches(rank, ranks, start), 4)) for rank in range(ranks)]
    for expected, shares in zip(whole, zip(*parts, strict=True), strict=True):
        assert torch.equal(torch.cat([share["image"] for share in shares]), expected)


def test_workers_do_not_change_the_order(shards: Path) -> None:
    plain, other = (islice(stream(shards, num_workers=workers).train_dataloader(), 6) for workers in (0, 2))
    assert all(torch.equal(one["image"], two["image"]) for one, two in zip(plain, other, strict=True))


def test_errors(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="create them with gan data pack"):
        StreamingDataModule(str(tmp_path)).setup("fit")
    with pytest.raises(UserError, match=r"packed with data\.size=\[4,4\] data\.channels=3"):
        StreamingDataModule(str(small), size=32).setup("fit")
    plain = write_shards(tmp_path / "plain", parts(4, classes=1))
    with pytest.raises(UserError, match="was packed without classes; pack with --labels"):
        stream(plain, size=4, labels=True)
    with pytest.raises(UserError, match=r"data\.validation=0\.9: would hold out all shards \(3\)"):
        held_out_shards(3, 0.9)
    monkeypatch.setattr(object_store, "find_spec", lambda library: None)
    with pytest.raises(UserError, match=r"pip install 'retro-gan\[s3\]'"):
        StreamingDataModule("s3://bucket/shards").setup("fit")


def test_packed_shards(tmp_path: Path, gan_command: Train) -> None:
    """A packed folder has its images, labels and frames, in an order that does not depend on the machine."""
    for index in range(200):
        path = tmp_path / "images" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (index, 0, 0)).save(path)
    frames = [Image.new("RGB", (4, 4), (value, 0, 0)) for value in (210, 211)]
    frames[0].save(tmp_path / "images" / "a" / "two.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "images" / "a" / "broken.png").write_bytes(b"broken")
    words = ["data", "pack", "images", "--out", "out", "--size", "4", "--labels", "--frames", "all"]
    result = gan_command(*words)
    assert "202 images in out" in result.stdout and "data.size=[4,4]" in result.stdout
    assert "skipped: 'a/broken.png'" in result.stderr
    assert "is not empty" in gan_command(*words, check=2).stderr
    index = read_index(tmp_path / "out" / "index.json")
    assert index.classes == {"a": 102, "b": 100} and set([*index.shards.values()][:-1]) == {3}
    assert index.shape == (4, 4, 3)
    parts = [read_shard(tmp_path / "out" / name, size, (4, 4, 3), 2) for name, size in index.shards.items()]
    values, labels = np.concatenate([p[0][:, 0, 0, 0] for p in parts]), np.concatenate([p[1] for p in parts])
    assert sorted(values) == [*range(200), 210, 211] and (labels == np.where(values < 210, values % 2, 0)).all()
    assert not np.array_equal(np.sort(values), values)


def test_held_out_images_are_never_trained_on(small: Path) -> None:
    data = stream(small, size=4, validation=0.3, labels=True)
    held_out = data.reals(1000, held_out=True)
    assert len(held_out) == 12 and len(data) == 28  # of 40 images, 3 of 10 shards
    own = set(held_out[:, 0, 0, 0].tolist())
    seen = {value for batch in islice(data.train_dataloader(), 20) for value in batch["image"][:, 0, 0, 0].tolist()}
    assert len(own) == 12 and len(seen) == 28 and not own & seen
    assert torch.equal(data.reals(5, held_out=True), held_out[:5]) and len(data.reals(0, held_out=True)) == 0
    assert (data.real_labels(1000, held_out=True) == held_out[:, 0, 0, 0] % 2).all()
    assert (data.real_labels(28) == data.reals(28)[:, 0, 0, 0] % 2).all() and len(data.reals(1000)) == 28
    other = stream(small, size=4, validation=0.3, seed=7, batch_size=4)
    assert torch.equal(other.reals(1000, held_out=True), held_out)
    assert len(stream(small, size=4).reals(5, held_out=True)) == 0


def test_a_run_scores_with_held_out_shards(tmp_path: Path, train: Train, gan_command: Train) -> None:
    """A run with classes from shards, interrupted and resumed; and `gan evaluate` of it."""
    write_shards(tmp_path / "noise", parts(40, side=16), {"cat": 80, "a dog": 80})
    settings = [option for option in TINY if not option.startswith(("data.num_images", "data.split"))]
    settings += ["data=stream", "data.root=noise", "data.validation=0.4", "data.labels=true", "trainer.threads=1"]
    train(*settings, "images=16", "hydra.run.dir=whole", tiny=False)
    train(*settings, "images=8", "hydra.run.dir=parts", tiny=False)
    said = train("resume=parts", "images=16", tiny=False).stdout
    assert "held-out images are too few" not in said
    assert equal_ends(tmp_path, 16)
    assert load(tmp_path / "parts").classes == ["cat", "a dog"]
    said = gan_command("evaluate", "parts", "--images", "64", "--extractor", "random_conv").stdout
    assert "64 images against 64 of parts:val" in said


# ---- the order


def test_a_shard_group_shows_each_image_once_per_epoch() -> None:
    lane = ShardGroup(np.array([4, 1, 7]), np.array([0, 3, 0, 0, 5, 0, 0, 2]), (0,))
    epochs = [[lane.at(place) for place in range(start, start + 10)] for start in (0, 10, 20)]
    everything = [(4, i) for i in range(5)] + [(1, i) for i in range(3)] + [(7, i) for i in range(2)]
    assert all(sorted(epoch) == sorted(everything) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    for epoch in epochs:  # one shard after another
        assert len([1 for one, two in pairwise(epoch) if one[0] != two[0]]) == 2


@pytest.mark.parametrize(
    ("count", "batch", "expected"), [(1, 8, 1), (8, 8, 2), (1000, 64, 32), (1000, 20, 20), (40, 7, 7)]
)
def test_number_of_shard_groups(count: int, batch: int, expected: int) -> None:
    found = shard_groups([10] * count, batch, 0)
    assert len(found) == expected
    assert sorted(shard for lane in found for shard in lane.shards.tolist()) == list(range(count))


def test_the_order_is_that_of_earlier_versions() -> None:
    """Their runs can be resumed."""
    places = [group.at(place) for group in shard_groups([5, 7, 3] * 8, 6, 1) for place in range(0, 200, 3)]
    assert hashlib.sha256(repr(places).encode()).hexdigest().startswith("d8acc232112255da")


# ---- shards at a URL; a folder stands for a bucket

URL = "s3://bucket/shards"


class FolderStore:
    """A folder that stands for a store, and records the names of the files that are downloaded."""

    def __init__(self, folder: Path, asked: list[str]) -> None:
        self.folder, self.asked = folder, asked

    def download(self, name: str, path: Path) -> None:
        self.asked.append(name)
        shutil.copy(self.folder / name, path)


@pytest.fixture
def bucket(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, list[str]]]:
    """Provide the folder behind URL, and the list of files that are downloaded."""
    monkeypatch.setenv("RETRO_GAN_CACHE", str(tmp_path / "cache"))
    asked: list[str] = []
    streams.store_of.cache_clear()
    monkeypatch.setattr(streams, "Store", lambda address: FolderStore(small, asked))
    yield small, asked
    streams.store_of.cache_clear()


def images(data: StreamingDataModule, batches: int = 20) -> torch.Tensor:
    return torch.cat([batch["image"] for batch in islice(data.train_dataloader(), batches)])


def test_a_url_is_as_its_folder(bucket: tuple[Path, list[str]]) -> None:
    folder, asked = bucket
    there, here = stream(URL, size=4, labels=True, validation=0.2), stream(folder, size=4, labels=True, validation=0.2)
    assert there.classes == ["cat", "a dog"] and asked == ["index.json"]
    assert torch.equal(images(there), images(here)) and len(there) == 32
    assert len(asked) == 1 + 8
    assert torch.equal(there.reals(9, held_out=True), here.reals(9, held_out=True))


def test_shards_are_downloaded_once(bucket: tuple[Path, list[str]]) -> None:
    first = images(stream(URL, size=4, labels=True))
    assert len(bucket[1]) == 11
    assert torch.equal(images(stream(URL, size=4, labels=True)), first)
    assert len(bucket[1]) == 12  # the index again


def test_the_cache_has_a_limit(bucket: tuple[Path, list[str]], tmp_path: Path) -> None:
    size = (bucket[0] / "shard-0.npy").stat().st_size
    data = stream(URL, size=4, labels=True)
    data.storage.limit = 3 * size
    assert torch.equal(images(data), images(stream(bucket[0], size=4)))
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
    images(stream(URL, size=4, labels=True))
    shutil.rmtree(bucket[0])
    write_shards(bucket[0], list(parts(12))[2:], {"cat": 20, "dog": 20})
    assert stream(URL, size=4, labels=True).classes == ["cat", "dog"]
    assert torch.equal(images(stream(URL, size=4, labels=True)), images(stream(bucket[0], size=4)))


def test_errors_of_a_url(bucket: tuple[Path, list[str]]) -> None:
    data = stream(URL, size=4, labels=True)
    for path in bucket[0].glob("*.npy"):
        path.unlink()
    with pytest.raises(UserError, match=r"shard shard-\d.npy cannot be read"):
        images(data)
    (bucket[0] / "index.json").unlink()
    with pytest.raises(UserError, match=r"data.root=s3://bucket/shards: cannot be read as shards"):
        stream(URL, size=4, labels=True)
    with pytest.raises(UserError, match=r"data.root=ftp://host/shards: is not the URL of a folder in object storage"):
        stream("ftp://host/shards")
