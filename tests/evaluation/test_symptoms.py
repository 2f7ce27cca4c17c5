"""What is measured of images and files for the rules about a run."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from gan.evaluation.symptoms import checkered, mean_cut, of_classes, of_files, of_images, of_options


def smooth(n: int, seed: int, dark: float = 0.3) -> Tensor:
    """Return images uint8 (n, 3, 32, 32) of soft, rather dark shapes."""
    noise = torch.rand(n, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    return (255 * dark * interpolate(noise, (32, 32), mode="bicubic").clamp(0, 1) * 2).clamp(0, 255).to(torch.uint8)


def test_images_like_the_real_ones_have_no_symptom() -> None:
    values = of_images(smooth(64, 0), smooth(64, 1))
    assert values["diversity"] == pytest.approx(1, abs=0.15) and values["colors"] == pytest.approx(1, abs=0.15)
    assert abs(values["checkered"]) < 3 and values["inverted"] <= 0.05 and abs(values["noise"]) < 2
    assert values["constant"] == 0


def test_each_symptom_is_seen() -> None:
    real, fake = smooth(64, 1), smooth(64, 0)
    assert of_images(fake[:1].repeat(64, 1, 1, 1), real)["diversity"] < 0.01
    assert of_images(torch.cat([fake[:32], 255 - fake[32:]]), real)["inverted"] > 0.4
    gray = (fake.float() - 60) * 0.3 + 60
    assert of_images(gray.to(torch.uint8), real)["colors"] < 0.5
    noise = torch.randint(0, 40, fake.shape, generator=torch.Generator().manual_seed(2))
    assert of_images((fake.int() + noise).clamp_max(255).to(torch.uint8), real)["noise"] > 10
    real[:, :, :8], real[:, :, :, :8] = 200, 200
    assert of_images(fake, real)["constant"] == pytest.approx(1 - (24 / 32) ** 2)


@pytest.mark.parametrize("period", [2, 4])
def test_the_checkered_texture_of_upsampling(period: int) -> None:
    x = torch.arange(32) % period < period // 2
    pattern = (x[:, None] ^ x[None]).int() * 16
    fake, real = smooth(64, 0), smooth(64, 1)
    with_pattern = (fake.int() + pattern).clamp_max(255).to(torch.uint8)
    assert checkered(with_pattern, real) > 15
    assert checkered(fake, real) < 4
    assert checkered(with_pattern, with_pattern) < 1  # a texture of the real images is none of upsampling


def test_noise_is_no_checkered_texture() -> None:
    fake, real = smooth(64, 0), smooth(64, 1)
    noise = torch.randint(0, 40, fake.shape, generator=torch.Generator().manual_seed(2))
    assert checkered((fake.int() + noise).clamp_max(255).to(torch.uint8), real) < 4


def test_files(tmp_path: Path) -> None:
    for n in range(12):
        sprite = Image.effect_noise((16, 16), 90).quantize(4).convert("RGB")
        target = tmp_path / ("rare" if n < 2 else "usual") / f"{n}.png"
        target.parent.mkdir(exist_ok=True)
        sprite.resize((128, 64), Image.Resampling.NEAREST).save(target)
        if n < 6:
            sprite.resize((128, 64), Image.Resampling.NEAREST).save(target.with_suffix(".webp"), lossless=True)
    values = of_files([str(tmp_path)], {"data.fit": "crop", "data.size": [32, 32]})
    assert values["files"] == 18 and values["duplicates"] == pytest.approx(6 / 18)
    assert values["largest_class"] == pytest.approx(14 / 18) and values["folders"] == 2
    assert values["cut"] == pytest.approx(0.5) and values["shape"] == "[32,64]"
    assert "cut" not in of_files([str(tmp_path)], {"data.fit": "pad"})
    assert "largest_class" not in of_files([str(tmp_path)], {"data.labels": True})


def test_the_mean_cut_counts_files() -> None:
    assert mean_cut({"64x64": 3, "128x64": 1}, 32, 32) == pytest.approx(0.5 / 4)


def test_learning_rates_beside_those_of_the_recipe() -> None:
    name = "model.{}_optimizer.lr"
    recipe = {name.format("generator"): 1.2e-3, name.format("discriminator"): 6e-4}
    values = of_options({name.format("generator"): 1.2e-2, name.format("discriminator"): 2e-5}, recipe)
    assert (values["network"], values["rate"]) == ("discriminator", pytest.approx(1 / 30))
    assert of_options(recipe, {}) == {}
    sizes = {"data.batch_size": 2, "model.discriminator.mbstd_group_size": 4}
    assert of_options(sizes, {}) == {"batch": 2, "group": 4}


def test_a_class_that_collapsed() -> None:
    """The second of two classes has one generated image for all latents; the third has too few real images."""
    model = SimpleNamespace(classes=["a", "b", "c"])
    model.generate = lambda seeds, label: SimpleNamespace(pixels=smooth(64, 0)[[0] * 64 if label == "b" else seeds])
    data = SimpleNamespace(
        reals=lambda n: smooth(64, 1), real_labels=lambda n: torch.tensor([0] * 30 + [1] * 30 + [2] * 4)
    )
    assert of_classes(model, data) == {"class": "b", "class_diversity": pytest.approx(0)}
