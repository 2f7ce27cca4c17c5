"""ADA: each transformation agrees with its definition; probabilities, transparency, second derivatives."""

import math

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor

from gan.augment import ada
from gan.augment.ada import ADA, recolor
from gan.config.compose import compose


def draws_of(n: int, only: int | None = None, seed: int = 0, size: tuple[int, int] = (16, 16)) -> dict[str, Tensor]:
    """Return random numbers with which every image gets only one transformation, or all of them."""
    draws = ADA().draw(n, size, torch.Generator().manual_seed(seed))
    draws["chosen"] = torch.ones_like(draws["chosen"]) if only is not None else torch.zeros_like(draws["chosen"])
    if only is not None:
        draws["chosen"][:, only] = 0
    return {name: draw.double() for name, draw in draws.items()}


def test_geometry_is_the_inverse_of_the_published_order() -> None:
    """Compute source positions in NumPy from the forward transformations, in order."""
    n, draws = 6, draws_of(6)
    source = ADA().source(draws, (16, 16)).numpy()
    u, g = draws["uniform"].numpy(), draws["normal"].numpy()

    def turn(a: float) -> np.ndarray:
        return np.array([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]])

    def move(x: float, y: float) -> np.ndarray:
        return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])

    for i in range(n):
        zoom, stretch = 2 ** (0.2 * g[i, 0, ada.SCALE]), 2 ** (0.2 * g[i, 0, ada.ANISO])
        steps = [
            np.diag([-1.0 if u[i, 0, ada.XFLIP] >= 0.5 else 1.0, 1, 1]),
            turn(math.floor(4 * u[i, 0, ada.ROTATE90]) * math.pi / 2),
            move(*np.round((2 * u[i, :, ada.XINT] - 1) * 2)),
            np.diag([zoom, zoom, 1]),
            turn((2 * u[i, 0, ada.ROTATE_BEFORE] - 1) * math.pi),
            np.diag([stretch, 1 / stretch, 1]),
            turn((2 * u[i, 0, ada.ROTATE_AFTER] - 1) * math.pi),
            move(*(2 * g[i, :, ada.XFRAC])),
        ]
        forward = np.linalg.multi_dot(steps[::-1])
        np.testing.assert_allclose(source[i], np.linalg.inv(forward)[:2], atol=1e-5)


def test_colors_are_the_published_ones() -> None:
    """Compute colors step by step in NumPy, with hue and saturation by their geometric meaning."""
    x = torch.rand(5, 3, 4, 4, dtype=torch.float64) * 2 - 1
    draws = draws_of(5)
    y = ADA({"color": 1.0})(x, draws).numpy()
    u, g = draws["uniform"].numpy()[:, 0], draws["normal"].numpy()[:, 0]
    gray = np.ones(3) / math.sqrt(3)
    for i in range(5):
        c = x[i].reshape(3, -1).numpy()
        c = (c + 0.2 * g[i, ada.BRIGHTNESS]) * 2 ** (0.5 * g[i, ada.CONTRAST])
        if u[i, ada.LUMAFLIP] >= 0.5:
            c = c - 2 * np.outer(gray, gray @ c)
        angle, along = (2 * u[i, ada.HUE] - 1) * math.pi, np.outer(gray, gray @ c)
        c = along + math.cos(angle) * (c - along) + math.sin(angle) * np.cross(gray, c.T).T
        c = along + 2 ** g[i, ada.SATURATION] * (c - along)
        np.testing.assert_allclose(y[i].reshape(3, -1), c, atol=1e-9)


def test_premultiplied_colors_change_as_straight_ones_do() -> None:
    straight, alpha = torch.rand(3, 3, 4, 4).double(), torch.rand(3, 1, 4, 4).double()  # in [0, 1]
    linear, added = ADA({"color": 1.0}).colors(draws_of(3))
    changed = (recolor(2 * straight - 1, linear, added) + 1) / 2
    x = torch.cat([straight * alpha, alpha], 1) * 2 - 1
    expected = torch.cat([changed * alpha, alpha], 1) * 2 - 1
    torch.testing.assert_close(recolor(x, linear, added), expected)
    assert (recolor(-torch.ones_like(x), linear, added) == -1).all()  # nothing stays nothing


def test_gray_changes_like_gray_in_color() -> None:
    x = torch.rand(4, 1, 4, 4, dtype=torch.float64) * 2 - 1
    linear, added = ADA({"color": 1.0}).colors(draws_of(4))
    in_color = recolor(x.expand(-1, 3, -1, -1), linear, added).mean(1, keepdim=True)
    torch.testing.assert_close(recolor(x, linear, added), in_color)


def test_images_that_are_not_square_are_rotated_by_180_degrees() -> None:
    turns = ADA().source(draws_of(32, ada.ROTATE90), (16, 24))
    assert {round(float(t), 3) for t in turns[:, 0, 0]} == {1.0, -1.0} and not turns[:, 0, 1].any()


@pytest.mark.parametrize("choice", ["ada", "apa_ada", "r3gan"])
def test_a_seamless_run_augments_seamless_images_without_a_seam(choice: str) -> None:
    """Shifts by whole pixels and by fractions of a pixel commute with shifts of the image."""
    augment = instantiate(compose([f"augment={choice}", "model.seamless=both"]).augment)
    pipeline = next(part for part in augment.modules() if isinstance(part, ADA))
    pipeline.policy, pipeline.probability = {"blit": 1.0, "geometry": 1.0}, 0.5
    x = torch.rand(8, 3, 16, 16, dtype=torch.float64) * 2 - 1
    for column in (ada.XINT, ada.XFRAC):
        draws = draws_of(8, column)
        expected = pipeline(x, draws).roll((5, -3), (2, 3))
        torch.testing.assert_close(pipeline(x.roll((5, -3), (2, 3)), draws), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("probability", [0.0, 0.2])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_fractions_of_augmented_images(channels: int, probability: float) -> None:
    x = torch.rand(300, channels, 8, 8) * 2 - 1
    augment = ADA({"cutout": 0.5, "geometry": 1.0}, probability)
    y = augment(x, augment.draw(300, (8, 8), torch.Generator().manual_seed(0)))
    expected = 1 - (1 - probability) ** 4 * (1 - probability / 2)  # zoom, stretch, drift, two rotations as one, a hole
    assert (y != x).flatten(1).any(1).float().mean().item() == pytest.approx(expected, abs=0.06)


def test_half_precision_around_it_changes_nothing() -> None:
    augment, x = ADA(), torch.rand(4, 3, 16, 16)
    draws = augment.draw(4, (16, 16), torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        inside = augment(x, draws)
    assert torch.equal(inside, augment(x, draws))
