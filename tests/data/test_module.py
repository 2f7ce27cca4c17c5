"""The DataModule: built-in images, folders, what is left out, and what is refused."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.data.module import Images
from gan.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, colour in {"red/a.png": (255, 0, 0), "red/b.PNG": (250, 0, 0), "blue/c.bmp": (0, 0, 255)}.items():
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 30), colour).save(path)
    return tmp_path / "images"


def test_built_in_images_are_four_kinds() -> None:
    data = Images(size=[24, 16], images=40, batch_size=8)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (8, 3, 24, 16) and batch["image"].dtype == torch.uint8
    assert batch["label"].dtype == torch.int64
    assert data.classes == ["poster", "sprite", "photograph", "neon"]
    assert np.bincount(data.labels).tolist() == [10] * 4


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_of_built_in_images(channels: int) -> None:
    data = Images(size=16, images=4, channels=channels)
    data.setup("fit")
    assert data.images.shape == (4, channels, 16, 16)
    if channels == 4:
        assert (data.images[:, 3] == 255).all()


def test_a_folder_is_read_with_right_pixels(folder: Path) -> None:
    data = Images(root=str(folder), size=8, batch_size=3, labels=True)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert data.classes == ["blue", "red"]
    for image, label in zip(batch["image"], batch["label"], strict=True):
        assert image[2 if label == 0 else 0].min() >= 250
    assert data.preview(2).shape == (2, 3, 8, 8)


def test_a_changed_file_is_read_again(folder: Path) -> None:
    def red() -> int:
        data = Images(root=str(folder), size=8)
        data.setup("fit")
        return int(data.images[2, 0, 0, 0])  # red/b.PNG comes last

    assert red() == 250
    Image.new("RGB", (20, 30), (9, 0, 0)).save(folder / "red" / "b.PNG")
    assert red() == 9


def test_unreadable_files_are_left_out_and_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty.png").touch()
    (folder / "text.jpg").write_text("no image")
    data = Images(root=str(folder), size=8, batch_size=3)
    data.setup("fit")
    assert len(data) == 3 and data.preview(9).shape[0] == 3
    assert int(data.preview(3).sum()) > 0
    batch = next(iter(data.train_dataloader()))["image"]
    assert (batch.flatten(1).max(1).values >= 250).all()  # none of the black places of unread files
    said = capsys.readouterr().out
    assert "2 of 5 images" in said and "'empty.png': " in said and "'text.jpg': " in said


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    with pytest.raises(UserError, match="none of its 1 images"):
        Images(root=str(tmp_path), size=8).setup("fit")


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_do_not_change_the_order(workers: int) -> None:
    data = Images(size=16, images=12, batch_size=5, workers=workers)
    data.setup("fit")
    labels = [batch["label"].tolist() for batch in islice(data.train_dataloader(), 4)]
    plain = Images(size=16, images=12, batch_size=5)
    plain.setup("fit")
    assert labels == [batch["label"].tolist() for batch in islice(plain.train_dataloader(), 4)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "big"}, "data.size=big"),
        ({"size": [1, 2, 3]}, "height,width"),
        ({"size": 0}, "data.size=0"),
        ({"channels": 2}, "channels=2 is not known: use one of 1, 3, 4"),
        ({"batch_size": 0}, "data.batch_size=0"),
        ({"fit": "squeeze"}, "fit='squeeze' is not known"),
        ({"background": "whiteish"}, "background='whiteish' is not a colour"),
    ],
)
def test_options_out_of_range(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Images(**options)  # type: ignore[arg-type]
