"""torchvision's datasets without a network: substitutes in its file formats, and errors."""

from __future__ import annotations

import urllib.error
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from torchvision import datasets

from gan.data.decoding import pool
from gan.data.module import ImageDataModule
from gan.data.sources.torchvision import TorchvisionDataset
from gan.utils.errors import UserError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRO_GAN_CACHE", str(tmp_path))


def stand_in(shape: tuple[int, ...]) -> object:
    def build(root: Path, train: bool, download: bool) -> SimpleNamespace:
        assert train and download
        root.mkdir(parents=True, exist_ok=True)
        data = np.arange(20, dtype=np.uint8).reshape(-1, *[1] * len(shape)) * np.ones(shape, np.uint8)
        return SimpleNamespace(data=data, targets=[index % 2 for index in range(20)], classes=["cat", "ship"])

    return build


@pytest.mark.parametrize(
    ("name", "kind", "shape", "channels"),
    [("cifar10", "CIFAR10", (32, 32, 3), 3), ("fashion_mnist", "FashionMNIST", (28, 28), 1)],
)
@pytest.mark.parametrize("here", [0.0, 60.0])  # seconds before processes take over
def test_images_and_classes(
    name: str, kind: str, shape: tuple[int, ...], channels: int, here: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "IN_PROCESS_SECONDS", here)
    monkeypatch.setattr(datasets, kind, stand_in(shape))
    data = ImageDataModule(
        source=TorchvisionDataset(name), size=32, channels=channels, fit="pad", background="black", batch_size=20
    )
    data.setup("fit")
    assert data.classes == ["cat", "ship"]
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (20, channels, 32, 32)
    assert sorted(batch["image"][:, 0, 16, 16].tolist()) == list(range(20))
    assert (batch["image"][:, 0, 16, 16] % 2 == batch["label"]).all()
    monkeypatch.setattr(datasets, kind, None)
    assert len(TorchvisionDataset(name).keys) == 20  # kept


@pytest.mark.parametrize(
    "error", [urllib.error.URLError("Name or service not known"), RuntimeError("File not found or corrupted.")]
)
def test_without_a_network(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(datasets, "CIFAR10", fail)
    with pytest.raises(UserError, match="data=cifar10: cannot be downloaded"):
        TorchvisionDataset("cifar10")


def test_an_unknown_set() -> None:
    with pytest.raises(UserError, match="use cifar10, fashion_mnist"):
        TorchvisionDataset("cifar11")
