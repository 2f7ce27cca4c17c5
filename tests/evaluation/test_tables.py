"""The rows of an evaluation, the failures that they show, and records with their protocol."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gan.data.builtin.retro import draw
from gan.evaluation import registry, tables
from gan.evaluation.registry import Row
from gan.evaluation.sets import Sets, digest_of_set
from gan.metrics.extractors import Lite0Features, RandomConv, features


def retro(first: int, n: int) -> Tensor:
    return torch.from_numpy(np.stack([draw(0, i, 32, 32).transpose(2, 0, 1) for i in range(first, first + n)]))


@pytest.fixture(scope="module")
def images() -> Tensor:
    return retro(0, 400)[torch.randperm(400, generator=torch.Generator().manual_seed(0))]


def rows(sets: Sets, extract: Any = RandomConv(), copies: float | None = None) -> dict[str, dict[str, float]]:  # noqa: B008
    metrics = registry.create(registry.registered())
    found = tables.compare(sets, lambda x: features(extract, x), lambda x: features(extract, x), metrics, copies)
    assert found[0].name == "generated"
    return {row.name: row.values for row in found}


@pytest.mark.slow
@pytest.mark.parametrize("held_out", [True, False])
def test_recall_reveals_mode_collapse(images: Tensor, held_out: bool) -> None:
    train, rest = images[:200], images[200:]
    found = rows(Sets(rest[100:], rest[:100] if held_out else train, train, held_out), copies=0.5)
    assert found["20 repeated"]["recall"] < 0.05 < 0.5 < found["other real images"]["recall"]
    assert found["generated"]["copies"] == 0.5


@pytest.mark.slow
def test_noise_is_worse_than_blur(images: Tensor) -> None:
    noise = torch.randint(0, 256, (60, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = rows(Sets(noise, images[:100], images[:100], held_out=False), Lite0Features())
    assert found["other real images"]["kid_x1000"] < found["blurred 4x"]["kid_x1000"] < found["generated"]["kid_x1000"]
    lines = tables.warnings(Row("generated", 60, 100, found["generated"]), 896)
    assert len(lines) == 2 and "bias" in lines[0] and "not measured" in lines[1]


def test_the_metrics_do_not_depend_on_the_order(images: Tensor) -> None:
    first = rows(Sets(images[:90], images[100:300], images[:0], held_out=False))
    order = torch.randperm(90, generator=torch.Generator().manual_seed(1))
    second = rows(Sets(images[:90][order], images[100:300], images[:0], held_out=False))
    for name, value in first["generated"].items():
        assert second["generated"][name] == pytest.approx(value, rel=1e-5), name


def test_few_images(images: Tensor) -> None:
    found = rows(Sets(images[:3], images[3:6], images[:0], held_out=False))
    assert set(found["generated"]) == {"kid_x1000", "fd"}
    assert "other real images" not in found  # one image is no set


def test_blurring_averages_cells() -> None:
    image = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8)
    assert tables.blurred(image)[0, 0, ::4, ::4].tolist() == [[14, 18], [46, 50]]  # of 13.5, ... rounded to even
    assert tables.blurred(image[..., :6])[0, 0, 0].tolist() == [14] * 4 + [16] * 2


def test_records_contain_the_protocol(images: Tensor) -> None:
    row = Row("generated", 3, 4, {"kid_x1000": 0.5})
    (record,) = tables.records([row], RandomConv(), {"source": "here"})
    assert record == {
        "metric": "kid_x1000",
        "value": 0.5,
        "row": "generated",
        "images": 3,
        "real": 4,
        "extractor": "random_conv",
        "weights_sha256": "",
        "resize": "bilinear, antialiased, 64x64",
        "k": 5,
        "source": "here",
    }


def test_the_digest_of_a_set_does_not_depend_on_the_order(images: Tensor) -> None:
    assert digest_of_set(images[:9]) == digest_of_set(images[:9].flip(0)) != digest_of_set(images[:8])
