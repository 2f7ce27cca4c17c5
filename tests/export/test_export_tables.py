"""Color tables of looks and of translators, and what they do not hold."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import gan
from gan.data.builtin.retro import draw
from gan.export import tables
from gan.looks import color_table
from gan.looks.color_table import ColorTable
from gan.networks import lut, resnet_translator, style
from gan.networks.closed_form.choose import Choice
from gan.networks.closed_form.color_map import NUM_BASES, POWERS, ColorMap, identity_table
from gan.translation import fitted_maps
from gan.translation.image_translator import parse_look
from gan.translation.tiling import translate
from gan.translation.translator import Translator
from gan.utils.errors import UserError
from tests.color_maps import give_start
from tests.conftest import Train

CONFIG: dict[str, Any] = {"data": {"channels": 3, "size": 32}}


def photograph() -> np.ndarray:
    return draw(0, 2, 96, 130)


def planes(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def look_of(word: str, pixels: np.ndarray) -> np.ndarray:
    return parse_look(word)(pixels, 0) / 255


def difference(table: ColorTable, pixels: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference of colors by a table, in levels."""
    return float(np.abs(table.apply(pixels) - expected).max() * 255)


@pytest.mark.parametrize(("word", "limit"), [("look:fade", 0.51), ("look:sepia,fade", 1.5)])
def test_filters_of_colors_are_tables(word: str, limit: float) -> None:
    found = tables.of_look(parse_look(word), 33)
    assert not found.lost and difference(found.table, photograph(), look_of(word, photograph())) < limit


def test_what_is_not_a_function_of_colors_is_left_out() -> None:
    found = tables.of_look(parse_look("look:grainy_film"), 33)
    assert found.name == "grainy_film" and found.lost[0].startswith("vignette and grain: left out")
    assert difference(found.table, photograph(), look_of("look:sepia,fade", photograph())) < 1.5
    with pytest.raises(UserError, match="is not a function of the color"):
        tables.of_look(parse_look("look:poster"), 17)


def made(**options: Any) -> lut.Generator:
    """Return a translator with LUTs that change colors."""
    torch.manual_seed(0)
    network = lut.Generator(lut_size=9, **options).eval()
    network.entries.data += 0.15 * torch.randn_like(network.entries)
    nn.init.normal_(network.to_weights.weight, 0, 0.5)
    return network


def exported(network: nn.Module, images: list[np.ndarray], size: int = 9, channels: int = 3) -> tables.Exported:
    config = {"data": CONFIG["data"] | {"channels": channels}}
    inputs = torch.stack([planes(each) for each in images])
    return tables.of_translator(Translator(network, 0, config), size, "runs/film", lambda: inputs)


def test_the_mix_of_luts_is_that_of_the_images() -> None:
    network, pixels = made(num_luts=3), photograph()
    found = exported(network, [pixels])
    expected = translate(network, planes(pixels)).permute(1, 2, 0).numpy() / 255
    assert difference(found.table, pixels, expected) < 0.51 and found.name == "translator" and not found.lost
    found = exported(network, [pixels, 255 - pixels])
    assert "the mean of 2 images" in found.lost[0] and difference(found.table, pixels, expected) > 0.6


def test_the_mean_over_positions_of_a_start_is_kept() -> None:
    network = give_start(lut.Generator()).eval()
    found = exported(network, [photograph()])
    assert found.lost == ["only the mean over radial positions is kept"]
    level = found.table.apply(np.full((1, 1, 3), 128, np.uint8))[0, 0]
    inside = translate(network, torch.full((3, 64, 64), 128, dtype=torch.uint8))[:, 12:52, 12:52]
    assert level == pytest.approx(inside.double().mean((1, 2)).numpy() / 255, abs=0.005)


def test_gray_translators() -> None:
    network, pixels = made(channels=1), photograph()
    found = exported(network, [pixels[..., :1]], channels=1)
    gray = np.asarray(Image.fromarray(pixels).convert("L"))
    expected = translate(network, torch.from_numpy(gray.copy())[None])[0].numpy()[..., None] / 255
    assert np.abs(found.table.apply(pixels) - expected).mean() < 0.03


def test_translators_that_change_more_than_colors_are_refused() -> None:
    with pytest.raises(
        UserError, match=r"runs/film: its colors depend on other pixels; only a look, model=lut or model=style"
    ):
        exported(resnet_translator.Generator(3, 4, 1), [photograph()])


@pytest.mark.slow
def test_export_and_translate(gan_command: Train, tmp_path: Path) -> None:
    Image.fromarray(photograph()).save(tmp_path / "photo.png")
    said = gan_command("export", "look:sepia,fade", "--to", "cube", "--out", "out").stdout
    assert said == "out/sepia_fade.cube: 33 entries along each axis\n".replace("/", str(Path("/"))[-1])
    error = gan_command("export", "look:sepia,fade", "--to", "cube", "--out", "out", check=2).stderr
    assert "exists already; use --force to overwrite" in error
    expected = np.rint(255 * look_of("look:sepia,fade", photograph())).astype(int)
    gan_command("translate", "out/sepia_fade.cube", "photo.png", "after.png")
    with Image.open(tmp_path / "after.png") as image:
        assert np.abs(np.asarray(image).astype(int) - expected).max() <= 2
        from_python = gan.translate(tmp_path / "out" / "sepia_fade.cube", tmp_path / "photo.png")
        assert np.array_equal(np.asarray(from_python), np.asarray(image))
    gan_command("export", "out/sepia_fade.cube", "--to", "cube", "--out", "again")
    table, again = (color_table.read_table(tmp_path / folder / "sepia_fade.cube") for folder in ("out", "again"))
    assert difference(again, photograph(), table.apply(photograph())) < 2


def test_a_color_map_is_exact_without_position_and_averaged_with_it() -> None:
    table = identity_table(9) ** 3
    found = tables.of_color_map(ColorMap(table), 9, "scans/old cards/")
    pixels = photograph()
    expected = ((ColorMap(table)(planes(pixels)[None] / 127.5 - 1) + 1) / 2)[0].permute(1, 2, 0).numpy()
    assert difference(found.table, pixels, expected) < 0.01 and found.name == "old_cards" and not found.lost
    position = torch.zeros(3, POWERS, NUM_BASES)
    position[:, 1, 1] = -0.5  # the light that the corners lose
    varying = ColorMap(table, position)
    found = tables.of_color_map(varying, 9, "old")
    assert found.lost == ["only the mean over radial positions is kept"]
    flat = varying(torch.full((1, 3, 64, 64), 0.5))[0, 0, 12:-12, 12:-12].mean()
    seen = found.table.apply(np.full((1, 3), 0.75, np.float32))
    assert seen == pytest.approx(np.full((1, 3), (float(flat) + 1) / 2), abs=2 / 255)


def test_of_a_translator_with_texture_the_color_map_remains() -> None:
    network = style.Generator(width=4, carriers=2)
    network.start = ColorMap(identity_table(9) ** 3)
    found = exported(network, [photograph()])
    assert found.name == "translator" and found.lost == ["texture is left out"]
    assert found.table.apply(np.full((1, 3), 0.75)) == pytest.approx(0.5625, abs=1e-4)


def test_a_color_map_of_two_folders(gan_command: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("photos", "retro"):
        (tmp_path / folder).mkdir()
    asked = []

    def choose(*given: object) -> Choice:
        asked.append(given)
        return Choice("linear", None, ColorMap(identity_table(9) ** 3), {"linear": 0.1, "unchanged": 0.2})

    monkeypatch.setattr(fitted_maps, "choose_for_folders", choose)
    words = ("--fit", "photos", "retro", "--to", "cube", "--out", "out", "--map", "linear")
    said = gan_command("export", *words).stdout
    assert asked == [("photos", "retro", "linear", None)] and "color map fitted: linear" in said and "note" not in said
    assert color_table.read_table(tmp_path / "out" / "retro.cube").apply(np.full((1, 3), 0.75)) == pytest.approx(
        0.5625, abs=1e-4
    )
    error = gan_command("export", *words[:3], "--to", "pt2", "--out", "other", check=2).stderr
    assert "--fit: needs --to cube" in error
    error = gan_command("export", "look:film", "--to", "pt2", "--out", "other", check=2).stderr
    assert "look:film: is a look, which has no network; use --to cube" in error
