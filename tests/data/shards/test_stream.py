"""Shards: one order for any number of ranks and workers, from any start."""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.common.errors import UserError
from gan.data.shards.order import ShardGroup, shard_groups
from gan.data.shards.stream import ShardBatches, StreamingDataModule
from tests.conftest import TINY, Train

pytest.importorskip("litdata")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pack 96 images of one value each as shards of one image, and an unreadable file."""
    from tests.conftest import command

    root = tmp_path_factory.mktemp("packed")
    for index in range(96):
        path = root / "images" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (index, 0, 0)).save(path)
    (root / "images" / "a" / "broken.png").write_bytes(b"broken")
    words = ["data", "pack", "images", "--out", "shards", "--size", "16", "--labels"]
    result = command(["-m", "gan.cli", *words], root)
    assert "96 images in shards" in result.stdout and "data.size=[16,16]" in result.stdout
    assert "skipped: 'a/broken.png'" in result.stderr
    refuse = command(["-m", "gan.cli", *words], root, check=2)
    assert "is not empty" in refuse.stderr
    return root / "shards"


def stream(shards: Path, **options: object) -> StreamingDataModule:
    data = StreamingDataModule(str(shards), size=16, **{"batch_size": 8, "num_workers": 0, **options})  # type: ignore[arg-type]
    data.setup("fit")
    return data


@pytest.mark.slow
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
    assert torch.equal(data.preview(20), torch.cat([b["image"] for b in islice(data.train_dataloader(), 3)])[:20])


@pytest.mark.slow
@pytest.mark.parametrize(("ranks", "start", "flip"), [(2, 0, False), (4, 3, True), (8, 20, False)])
def test_ranks_together_see_the_batches_of_one(shards: Path, ranks: int, start: int, flip: bool) -> None:
    data = stream(shards, flip=flip)
    whole = [batch["image"] for batch in islice(data._batches(0, 1, 0), start + 4)][start:]
    parts = [list(islice(data._batches(rank, ranks, start), 4)) for rank in range(ranks)]
    for expected, shares in zip(whole, zip(*parts, strict=True), strict=True):
        assert torch.equal(torch.cat([share["image"] for share in shares]), expected)


@pytest.mark.slow
def test_a_rank_reads_only_its_shards(shards: Path) -> None:
    everything = stream(shards).shards
    assert everything
    read: list[set[int]] = []
    for rank in range(2):
        batches = ShardBatches(everything, 8, 0, rank, 2)
        own: set[int] = set()
        original = batches.read
        batches.read = lambda lane, shard, own=own, original=original: (own.add(shard), original(lane, shard))[1]  # type: ignore[method-assign]
        list(islice(batches, 30))
        read.append(own)
    assert read[0] and read[1] and not read[0] & read[1]


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_do_not_change_the_order(shards: Path, num_workers: int) -> None:
    plain = [batch["image"] for batch in islice(stream(shards).train_dataloader(), 6)]
    other = [batch["image"] for batch in islice(stream(shards, num_workers=num_workers).train_dataloader(), 6)]
    assert all(torch.equal(one, two) for one, two in zip(plain, other, strict=True))


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


@pytest.mark.slow
def test_two_ranks_and_a_resume_in_the_middle(shards: Path, train: Train, tmp_path: Path) -> None:
    settings = [option for option in TINY if not option.startswith(("data.", "callback.checkpoint"))]
    settings += ["data=stream", f"data.root={shards}", "data.size=16", "data.batch_size=4", "trainer.devices=2"]
    settings += ["callback.checkpoint.interval=20"]
    train(*settings, "images=40", "hydra.run.dir=whole", tiny=False)
    train(*settings, "images=20", "hydra.run.dir=parts", tiny=False)
    train("resume=parts", "images=40", tiny=False)
    ends = [
        torch.load(tmp_path / run / "checkpoints" / "images-000000040.ckpt", weights_only=True)["state_dict"]
        for run in ("whole", "parts")
    ]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


@pytest.mark.slow
def test_errors(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no shards found"):
        StreamingDataModule(str(tmp_path)).setup("fit")
    with pytest.raises(UserError, match=r"packed with data\.size=\[16,16\] data\.channels=3"):
        StreamingDataModule(str(shards), size=32).setup("fit")
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        StreamingDataModule(str(tmp_path)).setup("fit")
    monkeypatch.setitem(__import__("sys").modules, "litdata", None)
    with pytest.raises(UserError, match=r"pip install 'retro-gan\[stream\]'"):
        StreamingDataModule(str(shards)).setup("fit")


@pytest.mark.slow
def test_a_shard_that_disappears_during_training(shards: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(shards, tmp_path / "copy")
    data = stream(tmp_path / "copy")
    batches = iter(data.train_dataloader())
    next(batches)
    for path in (tmp_path / "copy").glob("*.bin"):
        path.unlink()
    with pytest.raises(UserError, match=r"shard chunk-.* cannot be read"):
        for _ in range(20):
            next(batches)
