"""Hugging Face datasets on disk: tests use no network."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan.data.sources.huggingface import HuggingFaceDataset, data_module
from gan.utils.errors import UserError

datasets = pytest.importorskip("datasets")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RETRO_GAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")
    rows = []
    for index in range(12):
        file = io.BytesIO()
        Image.new("RGB", (20, 16), (index * 10, 0, 0)).save(file, "PNG")
        rows.append({"bytes": file.getvalue() if index != 7 else b"damaged", "path": None})
    table = datasets.Dataset.from_dict(
        {"image": rows, "kind": [index % 3 for index in range(12)], "word": ["ab"[index % 2] for index in range(12)]},
        features=datasets.Features(
            image=datasets.Image(), kind=datasets.ClassLabel(names=["x", "y", "z"]), word=datasets.Value("string")
        ),
    )
    (tmp_path / "set").mkdir()
    table.to_parquet(tmp_path / "set" / "train.parquet")
    return tmp_path / "set"


@pytest.mark.slow
@pytest.mark.parametrize(("label", "classes"), [("kind", ["x", "y", "z"]), ("word", ["a", "b"]), (None, [])])
def test_images_and_classes(folder: Path, label: str | None, classes: list[str]) -> None:
    data = data_module(str(folder), label_column=label, size=8, batch_size=11)
    data.setup("fit")
    assert data.classes == classes
    assert np.asarray(Image.open(io.BytesIO(data.source.content(3))))[0, 0].tolist() == [30, 0, 0]  # in order
    batch = next(iter(data.train_dataloader()))
    reds = (batch["image"][:, 0, 0, 0] // 10).tolist()
    assert sorted(reds) == [index for index in range(12) if index != 7]
    if classes:
        assert [red % len(classes) for red in reds] == batch["label"].tolist()


def test_what_is_not_there(folder: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be loaded .*picture.*image, kind, word|cannot be loaded .*picture"):
        HuggingFaceDataset(str(folder), image_column="picture")
    with pytest.raises(UserError, match=r"data\.name=.*absent: cannot be loaded"):
        HuggingFaceDataset(str(folder / "absent"))
