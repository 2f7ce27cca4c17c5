"""Edited latents give images with the requested change of an attribute. Effects agree with NumPy."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gan.editing.attributes import (
    NUM_IMAGES,
    VALUES,
    check,
    edit,
    effect,
    for_channels,
    linear_fit,
    measure,
    std,
)
from gan.editing.space import Space
from gan.metrics.attributes import ATTRIBUTES, brightness, warmth
from gan.models.sampling import latents
from gan.networks import dcgan, stylegan2
from gan.utils.errors import UserError


class Painter(nn.Module):
    """A latent contains the logits of the colors of four quarters, so that large values change the colors little."""

    latent_dim = 12
    classes = 0

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.4))
        self.channels = channels

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        quarters = torch.tanh(self.scale * z).unflatten(1, (3, 2, 2))[:, : self.channels]
        return quarters.repeat_interleave(4, 2).repeat_interleave(4, 3)


def test_attributes_change_as_requested_and_fixed_ones_stay() -> None:
    space = Space(Painter().eval())
    points = latents(range(40), 12)
    some = {name: ATTRIBUTES[name] for name in ("brightness", "saturation", "warmth")}
    before = measure(space.synthesize(points), some.values())
    of_all = std(space, some)
    units = torch.tensor([of_all[name] for name in some])
    for value in (-0.8, 0.3):
        there = edit(space, points, ATTRIBUTES, {"brightness": value * of_all["brightness"], "warmth": 0})
        change = ((measure(space.synthesize(there), some.values()) - before) / units).detach()
        assert (change[:, 0] - value).abs().mean() < 0.02 and change[:, 2].abs().mean() < 0.02
    there = edit(space, points, ATTRIBUTES, {"brightness": 0.8 * of_all["brightness"]})
    alone = measure(space.synthesize(there), some.values())
    assert ((alone - before) / units)[:, 2].abs().mean() > 0.05  # what is not held moves too


def test_fixed_attributes_keep_the_values_of_the_reference_latents() -> None:
    space = Space(Painter().eval())
    points = latents(range(20), 12)
    pushed = points + 0.5  # brighter in all
    held = edit(space, pushed, ATTRIBUTES, {"brightness": 0.0}, relative_to=points)
    before, after, free = (measure(space.synthesize(x), [ATTRIBUTES["brightness"]]) for x in (points, held, pushed))
    assert (after - before).abs().max() < 0.1 * (free - before).abs().min()


def test_latents_without_settings_stay_and_do_not_depend_on_the_batch() -> None:
    torch.manual_seed(0)
    space = Space(stylegan2.Generator((16, 16), width=4, max_channels=8, latent_dim=8).eval())
    points = space.from_z(latents(range(20), 8))
    assert edit(space, points, ATTRIBUTES, {"brightness": 0.0, "contrast": 0}) is points
    by = {"brightness": 0.1}
    together = edit(space, points, ATTRIBUTES, by)
    assert torch.equal(together[17:18], edit(space, points[17:18], ATTRIBUTES, by))


def test_the_unit_is_the_standard_deviation_over_images() -> None:
    space = Space(Painter().eval())
    some = {"contrast": ATTRIBUTES["contrast"], "red": lambda x: x[:, 0].mean((1, 2))}
    values = measure(space.synthesize(space.fixed_sample(NUM_IMAGES)), some.values()).std(0)
    assert list(std(space, some).values()) == pytest.approx(values.tolist())


def test_unknown_attributes() -> None:
    with pytest.raises(UserError, match="choose from brightness, contrast"):
        check("zoom", for_channels(3))
    gray = for_channels(1)
    assert list(gray) == ["brightness", "contrast", "sharpness"]
    with pytest.raises(UserError, match="gray images have no color"):
        check("warmth", gray)


CHOSEN = {name: ATTRIBUTES[name] for name in ("brightness", "contrast")}


@pytest.fixture(scope="module")
def space() -> Space:
    torch.manual_seed(0)
    generator = dcgan.Generator((16, 16), 3, 4, 8).eval()
    with torch.no_grad():
        for module in generator.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
                module.weight.mul_(8)  # images of an untrained network hardly vary
    return Space(generator)


MEASURED = {"brightness": brightness, "warmth": warmth}
UNITS = {"brightness": 0.1, "warmth": 0.2}


def pictures() -> Tensor:
    return (torch.rand(12, 3, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.5) * 0.4


def test_the_linear_fit_agrees_with_numpy() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(50)
    y = 0.7 * x + 3 + 0.4 * rng.standard_normal(50)
    slope, r2 = linear_fit(torch.from_numpy(x), torch.from_numpy(y))
    assert slope == pytest.approx(np.polyfit(x, y, 1)[0]) and r2 == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)


def test_slope_and_leakage_of_a_known_change() -> None:
    before = pictures()
    gains = torch.linspace(0.4, 1, 12)[:, None, None, None]  # of what was set, some images bring less

    def edited(name: str, value: float) -> Tensor:
        assert name == "brightness"
        return before + 2 * 0.1 * value * gains * torch.tensor([1.1, 1, 0.9])[:, None, None]  # light is half of [-1, 1]

    slope, r2, leakage = effect("brightness", before, edited, MEASURED, UNITS)
    changes = np.concatenate(
        [((brightness(edited("brightness", v)) - brightness(before)) / 0.1).numpy() for v in VALUES]
    )
    asked = np.repeat(VALUES, 12)
    assert slope == pytest.approx(np.polyfit(asked, changes, 1)[0], rel=1e-4)
    assert r2 == pytest.approx(np.corrcoef(asked, changes)[0, 1] ** 2, rel=1e-4) and 0.8 < r2 < 0.99
    ends = [(warmth(edited("brightness", v)) - warmth(before)) / 0.2 for v in (-1.0, 1.0)]
    assert leakage == pytest.approx({"warmth": float(torch.cat(ends).square().mean().sqrt())}, rel=1e-4)


def test_an_attribute_without_effect_has_slope_and_r2_of_0() -> None:
    before = pictures()
    found = effect("warmth", before, lambda name, value: before, MEASURED, UNITS)
    assert found == (0, 0, {"brightness": 0.0})
