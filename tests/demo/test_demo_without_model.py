"""The tab of gan demo that needs no model, called without a server, and when the page has it."""

import asyncio
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from gan.export.parts import example_images
from gan.images.convert import to_pil_image, to_uint8
from gan.looks.registry import STYLES
from gan.records.record import origin
from gan.translation.translator import translate_by_look

gradio = pytest.importorskip("gradio")
PIXELS = {"cell": 1, "palette": "all colors", "dither": "none", "autocontrast": "auto"}
LOOK = {"look": "film", **{f"slider{n}": None for n in range(7)}, "seed": 0, "strength": 1, **PIXELS}
VISITOR = SimpleNamespace(session_hash="visitor"), lambda *_, **__: None  # the request, and what shows the progress


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Return a function that calls a function of the page by its name. Errors are returned as texts."""
    from gan.demo import page
    from gan.demo.calls import Context

    context = Context(tmp_path_factory.mktemp("served"))

    async def build() -> Any:  # Gradio leaves a new event loop open if none is running
        return page.build([], context)

    blocks = asyncio.run(build())
    functions = {each.api_name: each.fn for each in blocks.fns.values()}

    def run(name: str, *values: Any) -> Any:
        try:
            return functions[name](*(() if name == "follow" else VISITOR), *values)
        except gradio.Error as error:
            return error.message

    yield run
    context.close()


@pytest.fixture
def photo(tmp_path: Path) -> str:
    """Return the path of an image of 60x40 pixels."""
    to_pil_image(to_uint8(example_images(1, 3, (40, 60)))[0]).save(tmp_path / "0.png")
    return str(tmp_path / "0.png")


def look(**changed: Any) -> Any:
    return (LOOK | changed).values()


def test_a_look_gives_the_image_of_gan_translate_with_its_record(
    call: Callable[..., Any], photo: str, tmp_path: Path
) -> None:
    (_, after), names, _, download, said = call("look", [photo, photo], *look(slider2=0.3, look="grainy_film", seed=3))
    with Image.open(after) as found:
        assert found.tobytes() == translate_by_look("look:grainy_film", photo, seed=3, vignette=0.3).tobytes()
    about = origin(after)
    assert about and about["look"] == ["sepia", "fade", "vignette:vignette=0.3", "grain"] and about["seed"] == 3
    with zipfile.ZipFile(download.value["path"]) as archive:
        assert archive.namelist() == ["0.png", "0-2.png"] == [name for _, name in names] and not said
    shown = call("all_looks", [photo])["value"]
    assert [name for _, name in shown] == [*STYLES] and len({Path(path).read_bytes() for path, _ in shown}) == 15


def test_what_is_refused(call: Callable[..., Any], photo: str, tmp_path: Path) -> None:
    assert "vignette nan: give a number from 0 to" in call("look", [photo], *look(slider2=float("nan")))
    assert call("look", [photo], *look(look="no")).startswith("Look no: ")
    assert call("all_looks", []) == "no file: drop images or a zip archive first"
    assert "bayer: needs a palette" in call("look", [photo], *look(dither="bayer"))
    assert "a palette needs Strength 1" in call("look", [photo], *look(palette="nes", strength=0.5))


def test_pixel_art(call: Callable[..., Any], photo: str, tmp_path: Path) -> None:
    jpeg = str(tmp_path / "0.jpg")
    with Image.open(photo) as given_image:
        given_image.save(jpeg)
    *_, said = call("look", [jpeg], *look(cell=5))
    assert said == "JPEG changes cells and colors; upload PNG images for exact ones."
    *_, download, _ = call("look", [photo], *look(palette="gameboy", dither="bayer", cell=5))
    with Image.open(download.value["path"]) as found:
        assert found.size == (60, 40) and len(found.convert("RGB").getcolors()) <= 4


def test_without_an_image_the_results_say_so(call: Callable[..., Any]) -> None:
    for nothing in (None, []):
        slider, gallery, shown, download, said = call("look", nothing, *look())
        assert said == "Upload images or a zip archive first."
        assert not (slider or gallery or shown or download.value or download.interactive)


def test_a_copy_of_the_shown_image_follows_the_strength(call: Callable[..., Any], photo: str) -> None:
    *_, shown, _, _ = call("look", [photo, photo], *look())
    (before, after), copies = call("follow", shown, None, [photo], *look(strength=0.3))
    with Image.open(before) as x, Image.open(after) as y:
        expected = translate_by_look("look:film", photo, strength=0.3)
        assert y.tobytes() == expected.tobytes() and x.tobytes() == Image.open(photo).tobytes()
    (_, twice), again = call("follow", shown, copies, [photo], *look(strength=2))
    assert again is copies and Path(twice).read_bytes() != Path(after).read_bytes()  # the look is applied once
    assert call("follow", shown, copies, [photo], *look(strength=1)) == (shown[0][0], copies)
    _, changed = call("follow", shown, copies, [photo], *look(strength=0.3, slider0=0.5))
    assert changed is not copies
    assert all(isinstance(each, dict) for each in call("follow", None, None, [photo], *look()))  # nothing to show yet
    *_, said = call("change_again", None, [photo], *look())
    assert isinstance(said, dict) and call("change_again", shown, [photo], *look(strength=0))[-1] == ""


@pytest.mark.parametrize(("run", "tabs"), [(False, ["Looks and colors", "zoo:tiny"]), (True, ["Generate", "Edit"])])
def test_looks_come_first_without_a_run_of_the_user(run: bool, tabs: list[str], tmp_path: Path) -> None:
    from gan.demo import page
    from gan.demo.calls import Context
    from gan.demo.models import PageModel
    from gan.model import Model
    from gan.networks import dcgan

    model = Model(dcgan.Generator((16, 16), width=4, latent_dim=8).eval(), 0, {})
    model.vectors |= {"pca0": torch.zeros(8), "pca1": torch.zeros(8)}
    shown = PageModel("zoo:tiny", tmp_path if run else None, model, effects={"pca1": "less warmth"})
    context = Context(tmp_path)

    async def build() -> Any:
        return page.build([shown], context)

    components = asyncio.run(build()).blocks.values()
    context.close()
    assert [each.label for each in components if isinstance(each, gradio.Tab)][:2] == tabs
    sliders = {each.label: each.info for each in components if isinstance(each, gradio.Slider)}
    assert sliders["pca0"] is None and sliders["less warmth"] == "pca1"
