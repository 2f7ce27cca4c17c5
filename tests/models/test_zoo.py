"""The models that come with the package: small, licensed, described, and usable as zoo:NAME."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

import gan
from gan.data.builtin.retro import draw
from gan.models import address, card, shared_model
from gan.utils.errors import UserError
from tests.conftest import Train

MB = 10**6
FREE = {"cc0-1.0", "mit", "gpl-3.0"}  # mit: trained on the built-in images, which are part of this program
NAMES = address.zoo_names()


@pytest.mark.parametrize("name", NAMES)
def test_each_model_is_small_and_described(name: str) -> None:
    folder = address.locate(f"zoo:{name}")
    files = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert set(files) == {shared_model.WEIGHTS, shared_model.CONFIG, shared_model.CARD, shared_model.SAMPLES}
    assert sum(files.values()) <= 6 * MB
    front, text = card.read_card(folder)
    assert front["license"] in FREE and card.trained_on_of(front)
    assert f"`{name}`" in (address.ZOO_FOLDER / "LICENSES.md").read_text()
    for heading in ("## Data", "## Training", "## Scores"):
        assert heading in text
    with safe_open(str(folder / shared_model.WEIGHTS), "pt") as weights:
        large = [key for key in weights.keys() if len(weights.get_slice(key).get_shape()) > 1]  # noqa: SIM118
        assert {weights.get_slice(key).get_dtype() for key in large} <= {"F16", "I64"}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_model_runs(name: str, tmp_path: Path) -> None:
    model = gan.load(f"zoo:{name}")
    if isinstance(model, gan.Translator):
        photograph = Image.fromarray(draw(0, 2, 70, 100))
        translated = np.asarray(gan.translate(model, photograph), int)
        assert translated.shape == (70, 100, 3) and np.abs(translated - np.asarray(photograph, int)).mean() > 10
    else:
        images = model.sample(8, seed=0).tensor
        assert images.float().std(dim=0).mean() > 10  # different images


def test_the_list_and_a_card(gan_command: Train) -> None:
    said = gan_command("zoo").stdout
    assert all(f"zoo:{name}" in said for name in NAMES) and f"{len(NAMES)} model" in said
    shown = gan_command("zoo", NAMES[0]).stdout
    assert shown.startswith(f"# {NAMES[0]}\n") and f'gan.load("zoo:{NAMES[0]}")' in shown
    assert "DIR" not in shown and "\n## Training\n" in shown


@pytest.mark.parametrize("words", [("zoo", "presss"), ("generate", "zoo:presss")])
def test_an_unknown_name_is_one_line(words: tuple[str, ...], gan_command: Train) -> None:
    said = gan_command(*words, check=2).stderr
    assert said.count("\n") == 1 and "presss: no such model; choose from engraving, film, press, prints128," in said
    with pytest.raises(UserError, match=r"choose from .*press"):
        address.locate("zoo:qqqq")


def test_a_damaged_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(address.ZOO_FOLDER / "press", tmp_path / "press")
    path = tmp_path / "press" / shared_model.WEIGHTS
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(address, "ZOO_FOLDER", tmp_path)
    with pytest.raises(UserError, match="damaged; its checksum differs"):
        gan.load("zoo:press")
