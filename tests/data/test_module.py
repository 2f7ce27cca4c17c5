"""The DataModule: built-in images, folders, skipped files, and errors."""

import shutil
import zipfile
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from gan.data import module
from gan.data.builtin.retro import draw
from gan.data.module import ImageDataModule
from gan.utils.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, color in {"red/a.png": (255, 0, 0), "red/b.PNG": (250, 0, 0), "blue/c.bmp": (0, 0, 255)}.items():
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 30), color).save(path)
    return tmp_path / "images"


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_of_built_in_images(channels: int) -> None:
    data = ImageDataModule(size=16, num_images=4, channels=channels)
    data.setup("fit")
    assert data.pixels[data.rows].shape == (4, 16, 16, channels)  # the cache may hold more
    assert data.classes == ["poster", "sprite", "photograph", "neon"] and data.class_counts().tolist() == [1] * 4
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (64, channels, 16, 16) and batch["image"].dtype == torch.uint8
    assert batch["label"].dtype == torch.int64
    if channels == 4:
        assert (data.pixels[..., 3] == 255).all()


def test_a_folder_is_read_with_right_pixels(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ImageDataModule(root=str(folder), size=8, batch_size=3, labels=True)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert data.classes == ["blue", "red"]
    for image, label in zip(batch["image"], batch["label"], strict=True):
        assert image[2 if label == 0 else 0].min() >= 250
    assert data.reals(2).shape == (2, 3, 8, 8)
    state = data.state_dict()
    data.load_state_dict(state)
    assert "differ from those of the checkpoint" not in capsys.readouterr().out
    Image.new("RGB", (4, 4)).save(folder / "red" / "new.png")
    data = ImageDataModule(root=str(folder), size=8, labels=True)
    data.setup("fit")
    data.load_state_dict(state)
    assert "differ from those of the checkpoint (3 images then, 4 now)" in capsys.readouterr().out


def test_unreadable_files_are_skipped_and_reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty\n.png").touch()
    (folder / "text.jpg").write_text("no image")
    (folder / "cut.png").write_bytes((folder / "red" / "a.png").read_bytes()[:-30])
    (folder / "red" / "a.png").rename(folder / "a PNG, in fact.jpg")
    with zipfile.ZipFile(folder.parent / "more.zip", "w") as archive:
        for name in ("../outside.png", "inside.png"):
            archive.write(folder / "red" / "b.PNG", name)
    data = ImageDataModule(root=[str(folder), str(folder.parent / "more.zip")], size=8, batch_size=4)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))["image"]
    assert (batch.flatten(1).max(1).values >= 250).all()  # none of the black places of unread files
    said = capsys.readouterr().out
    assert "4 of 8 images" in said and r"  'empty\n.png': the file is empty" in said
    assert "  'text.jpg': not a PNG, JPEG" in said and "  'cut.png': damaged, truncated" in said
    assert "  '../outside.png': its name points outside the archive" in said
    for path in (folder / "red", folder / "blue"):
        shutil.rmtree(path)
    (folder / "a PNG, in fact.jpg").unlink()
    with pytest.raises(UserError, match="none of its 3 images"):
        ImageDataModule(root=str(folder), size=8).setup("fit")


def batches(data: ImageDataModule, count: int) -> list[dict[str, torch.Tensor]]:
    data.setup("fit")
    return list(islice(data.train_dataloader(), count))


@pytest.mark.parametrize(
    "options", [{"num_workers": 2}, {"storage": "memory"}, {"storage": "device"}, {"batch_size": 10}]
)
def test_crops_and_flips_depend_on_the_stream_position(options: dict[str, object]) -> None:
    settings: dict[str, object] = {"size": 16, "num_images": 12, "batch_size": 5, "fit": "random_crop", "flip": True}
    plain = torch.cat([batch["image"] for batch in batches(ImageDataModule(**settings), 4)])
    assert plain.shape == (20, 3, 16, 16)
    other = batches(ImageDataModule(**settings | options), 4)
    assert torch.equal(torch.cat([batch["image"] for batch in other])[:20], plain)
    still = torch.cat([batch["image"] for batch in batches(ImageDataModule(size=16, num_images=12, batch_size=5), 4)])
    assert not torch.equal(still, plain)


class DevicesOfIndices(TorchDispatchMode):
    """Record the devices of each indexed tensor and its indices. Assert that the host waits for no copy."""

    def __init__(self) -> None:
        super().__init__()
        self.indexed: list[set[str]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket is torch.ops.aten.index:
            self.indexed.append({each.device.type for each in (args[0], *args[1]) if each is not None})
        if func.overloadpacket is torch.ops.aten._to_copy:
            assert kwargs["non_blocking"]
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("fit", ["crop", "random_crop"])
def test_pixels_on_the_device_are_indexed_there(fit: str) -> None:
    data = ImageDataModule(size=16, num_images=12, batch_size=5, fit=fit, storage="device")
    data.setup("fit")
    data.to_device(torch.device("meta"))  # in place of a GPU
    stream = data.stream()
    with DevicesOfIndices() as seen:
        batch = next(iter(stream))
    assert seen.indexed == [{"meta"}, {"meta"}]  # images and labels
    assert batch["image"].device.type == batch["label"].device.type == "meta"
    assert batch["image"].shape == (5, 3, 16, 16) and batch["label"].shape == (5,)


@pytest.mark.parametrize(
    ("memory", "options", "expected"),
    [(0, {}, "disk"), (16 * 12 * 16 * 16 * 3, {}, "device"), (16 * 12 * 16 * 16 * 3 - 1, {}, "disk"),
     (10**12, {"num_workers": 1}, "disk"), (10**12, {"storage": "disk"}, "disk")],
)  # fmt: skip
def test_pixels_are_on_a_gpu_if_they_fit(
    memory: int, options: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "gpu_memory", lambda device: memory)
    data = ImageDataModule(size=16, num_images=12, batch_size=5, **{"storage": "auto", **options})
    data.setup("fit")
    expected_images = next(iter(data.stream()))["image"]
    data.to_device(torch.device("cpu"))  # in place of a GPU
    assert isinstance(data.pixels, torch.Tensor) is (expected == "device")
    assert torch.equal(next(iter(data.stream()))["image"], expected_images)


def test_validation_split(folder: Path) -> None:
    for index in range(30):
        Image.new("RGB", (4, 4), (index + 1, 0, 0)).save(folder / f"{index // 3}_{index % 3}.png")
    (folder / "0_9.png").touch()  # unreadable
    data = ImageDataModule(root=str(folder), size=4, split="prefix", validation=0.3)
    data.setup("fit")
    train = set(data.pixels[data.rows][:, 0, 0, 0].tolist())
    kept = set(data.pixels[data.validation_rows][:, 0, 0, 0].tolist())
    assert len(train) + len(kept) == 33 and not train & kept
    photographs = [{(value - 1) // 3 for value in side if 0 < value <= 30} for side in (train, kept)]
    assert photographs[0].isdisjoint(photographs[1])
    in_memory = ImageDataModule(root=str(folder), size=4, split="prefix", validation=0.3, storage="memory")
    in_memory.setup("fit")
    assert set(in_memory.pixels[in_memory.validation_rows][:, 0, 0, 0].tolist()) == kept
    assert len(data) == len(train)


def test_all_images_of_animations_carry_the_label_of_their_file(folder: Path) -> None:
    pages = [Image.new("RGB", (4, 4), (value, 0, 0)) for value in (50, 100, 150)]
    pages[0].save(folder / "blue" / "a.gif", save_all=True, append_images=pages[1:])
    data = ImageDataModule(root=str(folder), size=4, labels=True, frames="all")
    data.setup("fit")
    assert len(data) == 6
    assert sorted(data.pixels[data.rows][:, 0, 0, 0].tolist()) == [0, 50, 100, 150, 250, 255]
    labels = {int(data.pixels[row, 0, 0, 0]): int(data.labels[row]) for row in data.rows}
    assert labels == {0: 0, 50: 0, 100: 0, 150: 0, 250: 1, 255: 1}


def test_workers_cannot_read_from_the_device() -> None:
    with pytest.raises(UserError, match=r"data\.num_workers=2"):
        ImageDataModule(storage="device", num_workers=2)


def test_patches_of_a_file_stay_on_one_side_of_the_split(tmp_path: Path) -> None:
    for n in range(8):
        Image.fromarray(np.full((90, 120, 3), 20 * n, np.uint8)).save(tmp_path / f"{n}.png")
    data = ImageDataModule(str(tmp_path), size=28, fit="patches", patches_per_image=5, split="file", validation=0.3)
    data.setup("fit")
    kept, trained = (set(np.unique(data.pixels[rows])) for rows in (data.validation_rows, data.rows))
    assert len(data.rows) + len(data.validation_rows) == 40 and not kept & trained and len(kept | trained) == 8
    some = data.reals(len(trained))
    assert some.shape[1:] == (3, 28, 28) and set(some.unique().tolist()) == trained
    with pytest.raises(UserError, match="built-in images are generated at the training size"):
        ImageDataModule(fit="patches").setup("fit")
    with pytest.raises(UserError, match=r"data\.fit=letterbox: unknown; use .*random_crop"):
        ImageDataModule(fit="letterbox")


def test_half_of_the_held_out_files_is_kept_for_the_report(tmp_path: Path) -> None:
    for index in range(20):
        Image.fromarray(draw(0, index, 32, 32)).save(tmp_path / f"{index}.png")
    options = {"size": 16, "fit": "stretch", "split": "file", "validation": 0.4}
    whole, halved = (ImageDataModule(str(tmp_path), report_half=half, **options) for half in (False, True))
    for data in (whole, halved):
        data.setup("fit")
    everything, selection = whole.reals(100, True), halved.reals(100, True)
    assert len(halved.rows) == len(whole.rows)
    assert halved.use_report_half() and not whole.use_report_half()
    report = halved.reals(100, True)
    assert 0 < len(selection) < len(everything) and len(selection) + len(report) == len(everything)
    files = [{image.numpy().tobytes() for image in part} for part in (selection, report, everything)]
    assert not files[0] & files[1] and files[0] | files[1] == files[2]
    in_memory = ImageDataModule(str(tmp_path), report_half=True, storage="memory", **options)
    in_memory.setup("fit")
    in_memory.use_report_half()
    assert torch.equal(in_memory.reals(100, True), report)
