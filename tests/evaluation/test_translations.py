"""The table of a translator: its rows, and the images to which closed forms are fitted."""

import pytest
import torch
from torch import Tensor, nn

from gan.data.translation import StyledDataModule, UnpairedDataModule
from gan.evaluation.translations import Translations, color_maps, evaluate, recolored, translate_all
from gan.networks.closed_form.color_map import NUM_BASES, POWERS, ColorMap
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


@pytest.fixture(scope="module")
def data() -> StyledDataModule:
    made = StyledDataModule(photographs(), "fade", "disjoint", size=32, split="file", validation=0.3)
    made.setup("fit")
    return made


def without_choice(pictures: Translations) -> Translations:
    """Leave so few images that color maps are not compared, which takes two seconds."""
    return pictures._replace(sources=pictures.sources[:4])


def test_rows_of_baselines(data: StyledDataModule) -> None:
    pictures = translate_all(Inverts(), data, 10)
    rows = {row.name: row.values for row in evaluate(pictures, features)}
    # eight photographs a side are too few to show that their colors differ
    assert list(rows) == ["translated", "input unchanged", "linear", "histogram", "transport",
                          "flexible_transport", "chosen: unchanged", "truth of another"]  # fmt: skip
    assert rows["translated"]["luminance_correlation"] < -0.9 < 0.9 < rows["input unchanged"]["luminance_correlation"]
    assert rows["input unchanged"]["gain"] == 0 and rows["translated"]["gain"] < 0
    assert rows["truth of another"]["luminance_ssim"] < rows["linear"]["luminance_ssim"]
    of = {image.numpy().tobytes() for image in pictures.reference}  # of other photographs than the target
    assert not of & {image.numpy().tobytes() for image in pictures.target} and len(pictures.target) > 1


@pytest.mark.slow
def test_grain_has_a_row_of_its_own() -> None:
    data = StyledDataModule(photographs(), "grainy_film", "paired", size=32, split="file", validation=0.3)
    data.setup("fit")
    rows = {row.name: row.values for row in evaluate(without_choice(translate_all(Inverts(), data, 6)), features)}
    truth = rows["truth with grain"]
    assert 0 < truth["gain"] < 1


def test_without_a_ground_truth_there_is_no_gain() -> None:
    data = UnpairedDataModule(photographs(), photographs(), size=32, fit="crop")
    data.setup("fit")
    rows = evaluate(without_choice(translate_all(Inverts(), data, 6)), features)
    assert "truth of another" not in [row.name for row in rows]
    assert not any("gain" in row.values for row in rows)
    assert [row.name for row in rows if "kid_source_x1000" not in row.values] == ["input unchanged"]


def test_closed_forms_keep_alpha_and_use_visible_colors() -> None:
    generator = torch.Generator().manual_seed(0)
    colors = torch.randint(0, 200, (12, 3, 64, 64), generator=generator).to(torch.uint8)
    alpha = 255 * (torch.rand(12, 1, 64, 64, generator=generator) > 0.5).to(torch.uint8)

    def premultiplied(x: Tensor) -> Tensor:
        return torch.cat([x * (alpha > 0), alpha], 1)

    before, after = premultiplied(colors), premultiplied(colors // 2 + 50)
    pictures = Translations(before, before, after, after, after, before, after, {})
    maps = dict(color_maps(pictures))
    assert list(maps)[:4] == ["linear", "histogram", "transport", "flexible_transport"]
    for change in maps.values():
        made = recolored(change, before, False)
        assert torch.equal(made[:, 3:], alpha)
        assert (made.float() - after.float()).abs().mean() < 3


def test_color_maps_of_a_position_have_their_mean_in_patches() -> None:
    position = torch.zeros(3, POWERS, NUM_BASES)
    position[:, 0, 1] = 0.2  # brighter with the squared radius
    gray = torch.full((1, 3, 16, 16), 100, dtype=torch.uint8)
    whole, patch = (recolored(ColorMap(position=position), gray, patches) for patches in (False, True))
    assert whole[0, 0, 0, 0] > whole[0, 0, 8, 8] + 30 and patch.unique().numel() == 1
    assert float(patch[0, 0, 0, 0]) == pytest.approx(float(whole.float().mean()), abs=1)


def test_images_without_a_visible_pixel_have_no_color_maps() -> None:
    empty = torch.zeros(3, 4, 16, 16, dtype=torch.uint8)
    assert not list(color_maps(Translations(empty, empty, None, empty, empty, empty, empty, {})))
