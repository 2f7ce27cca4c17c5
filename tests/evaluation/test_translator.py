"""The table of a translator: its rows, and the images to which closed forms are fitted."""

import pytest
import torch
from torch import Tensor, nn

from gan.data.translation import StyledDataModule, UnpairedDataModule
from gan.evaluation.translator import Translations, evaluate, recolor, translate_all
from gan.metrics.color_transfer import CLOSED_FORMS
from tests.recipes import photographs


class Inverts(nn.Module):
    multiple, receptive_radius = 1, 0

    def __init__(self) -> None:
        super().__init__()
        self.sign = nn.Parameter(torch.tensor(-1.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.sign * x


def features(images: Tensor) -> Tensor:
    return images.float().mean((2, 3)) / 255


def test_rows_of_baselines() -> None:
    data = StyledDataModule(photographs(), "fade", "disjoint", size=32, split="file", validation=0.3)
    data.setup("fit")
    pictures = translate_all(Inverts(), data, 10, {"the same": Inverts()})
    rows = {row.name: row.values for row in evaluate(pictures, features)}
    assert list(rows) == ["translated", "the same", "input unchanged", "channel statistics", "histograms",
                          "Monge-Kantorovich", "truth of another"]  # fmt: skip
    assert rows["translated"] == rows["the same"]
    assert rows["translated"]["luminance_correlation"] < -0.9 < 0.9 < rows["input unchanged"]["luminance_correlation"]
    assert rows["input unchanged"]["gain"] == 0 and rows["translated"]["gain"] < 0
    assert rows["truth of another"]["luminance_ssim"] < rows["channel statistics"]["luminance_ssim"]


def test_closed_forms_are_fitted_to_training_images() -> None:
    data = StyledDataModule(photographs(), "fade", "disjoint", size=32, split="file", validation=0.3)
    data.setup("fit")
    inputs, target = data.inputs(99), data.reals(99)
    assert len(inputs) + len(target) == len(data.rows)
    truths = data.ground_truth(99)
    assert truths is not None and len(truths) == len(inputs)
    assert not {image.numpy().tobytes() for image in truths} & {image.numpy().tobytes() for image in target}


@pytest.mark.slow
def test_grain_has_a_row_of_its_own() -> None:
    data = StyledDataModule(photographs(), "grainy_film", "paired", size=32, split="file", validation=0.3)
    data.setup("fit")
    rows = {row.name: row.values for row in evaluate(translate_all(Inverts(), data, 6, {}), features)}
    truth = rows["truth with grain"]
    assert 0 < truth["gain"] < 1 and truth["spectrum"] == 0


def test_without_a_ground_truth_there_is_no_gain() -> None:
    data = UnpairedDataModule(photographs(), photographs(), size=32, fit="crop")
    data.setup("fit")
    rows = evaluate(translate_all(Inverts(), data, 6, {}), features)
    assert "truth of another" not in [row.name for row in rows]
    assert not any("gain" in row.values for row in rows)
    assert [row.name for row in rows if "kid_source_x1000" not in row.values] == ["input unchanged"]


def test_target_images_are_other_photographs_than_the_reference() -> None:
    data = StyledDataModule(photographs(), "fade", "disjoint", size=32, split="file", validation=0.3)
    data.setup("fit")
    pictures = translate_all(Inverts(), data, 10, {})
    of = {image.numpy().tobytes() for image in pictures.reference}
    assert not of & {image.numpy().tobytes() for image in pictures.target} and len(pictures.target) > 1
    rows = {row.name: row.values for row in evaluate(pictures, features)}
    assert (
        rows["truth of another"]["spectrum"] == pytest.approx(0, abs=1e-9) and rows["input unchanged"]["spectrum"] > 0.1
    )


def test_closed_forms_keep_alpha_and_use_visible_colors() -> None:
    generator = torch.Generator().manual_seed(0)
    colors = torch.randint(0, 200, (12, 3, 16, 16), generator=generator).to(torch.uint8)
    alpha = 255 * (torch.rand(12, 1, 16, 16, generator=generator) > 0.5).to(torch.uint8)

    def premultiplied(x: Tensor) -> Tensor:
        return torch.cat([x * (alpha > 0), alpha], 1)

    before, after = premultiplied(colors), premultiplied(colors // 2 + 50)
    pictures = Translations(before, before, after, after, after, before, after, {})
    for fit in CLOSED_FORMS.values():
        made = recolor(fit, pictures)
        assert torch.equal(made[:, 3:], alpha)
        assert (made.float() - after.float()).abs().mean() < 3
