"""The page in Chromium, without a network, from a plain server: its images are those of the commands."""

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan import api
from gan.export import web
from gan.export.parts import example_images
from gan.export.web import MODEL, write_page
from gan.images.convert import to_uint8
from gan.utils.errors import UserError
from tests.browser import Faults, browser, chromium, served
from tests.patience import PATIENCE
from tests.security.checkpoints import LUT, STYLEGAN2, checkpoint

pytestmark = pytest.mark.slow
EVIL = "<img src=http://x.example/y onerror=alert(1)>"
TRANSLATOR = [*LUT, "model.generator.num_luts=3"]


@pytest.fixture(scope="module")
def package() -> bytes:
    """Return onnxruntime-web from the user's cache or the npm registry; skip without it, and without a browser."""
    pytest.importorskip("playwright")
    pytest.importorskip("onnxscript")
    chromium()
    try:
        return web.find()
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def chrome(package: bytes) -> Iterator[Any]:
    with browser() as opened:
        yield opened


def loaded(folder: Path, options: list[str], classes: tuple[str, ...] = ()) -> Any:
    """Return a model that changes its inputs: weights at the start of training do not, in translators."""
    made = checkpoint(options, classes)
    random = torch.Generator().manual_seed(0)
    for name, value in made["state_dict"].items():
        if "ema.module." in name and classes == () and value.is_floating_point():
            value += 0.1 * torch.randn(value.shape, generator=random)
    torch.save(made, folder / "made.ckpt")
    return api.load(folder / "made.ckpt")


def status(page: Any, pattern: str) -> str:
    """Wait for a text in the line that says what happens, and return it."""
    line = page.locator("#status", has_text=re.compile(pattern))
    line.wait_for(timeout=1000 * PATIENCE)  # milliseconds
    text: str = line.inner_text()
    return text


def images(page: Any, place: str) -> list[np.ndarray]:
    """Return the canvases in an element, uint8 (H, W, 4)."""
    urls = page.locator(f"{place} canvas").evaluate_all("all => all.map((one) => one.toDataURL())")
    return [pixels(io.BytesIO(base64.b64decode(url.partition(",")[2]))) for url in urls]


def pixels(file: Any) -> np.ndarray:
    """Return an image file as (H, W, 4)."""
    with Image.open(file) as image:
        return np.array(image.convert("RGBA")).astype(int)


def levels(found: np.ndarray, expected: Any) -> int:
    expected = np.array(expected.convert("RGBA"))
    assert found.shape == expected.shape
    return int(abs(found - expected).max())


def test_a_generator(package: bytes, chrome: Any, tmp_path: Path) -> None:
    """All of it in one test, because an export takes seconds."""
    model = loaded(tmp_path, [*STYLEGAN2, "data.size=8"], ("card", EVIL))
    folder = tmp_path / "page"
    write_page(model, folder, package)
    with served(folder) as address:
        page, faults = chrome.new_page(), Faults()
        faults.watch(page)
        page.goto(address)
        assert status(page, "^Seeds 0 to 15, in")
        assert page.inner_text("h1") == page.title() == "Generated images"
        found = images(page, "#images")
        assert len(found) == 16 and len({each.tobytes() for each in found}) == 16
        assert max(map(levels, found, model.generate(list(range(16))))) <= 1

        page.fill("#seed", str(2**40))
        page.fill("#count", "3")
        page.select_option("#class", label=EVIL)
        page.locator("#truncation").fill("0.5")
        status(page, rf"^Seeds {2**40} to {2**40 + 2}, in")
        expected = model.generate([2**40, 2**40 + 1, 2**40 + 2], truncation=0.5, label=EVIL)
        page.wait_for_timeout(300)  # the last of several changes
        assert max(map(levels, images(page, "#images"), expected)) <= 1
        model.vectors |= model.directions(sefa=0, pca=4)
        page.locator("#truncation").fill("1")
        page.locator("input[name=pca1]").fill("2")
        page.wait_for_timeout(300)
        latents, labels = model.latents([2**40, 2**40 + 1, 2**40 + 2], label=EVIL)
        edited = model.synthesize(model.edit(latents, labels, pca1=2.0), labels)
        assert max(map(levels, images(page, "#images"), edited)) <= 1

        page.locator("input[name=pca1]").fill("0")
        page.wait_for_timeout(300)
        expected = model.generate([2**40, 2**40 + 1, 2**40 + 2], label=EVIL)
        with page.expect_download() as saved:
            page.locator("#images canvas").nth(1).click()
        assert saved.value.suggested_filename == f"{2**40 + 1}.png"
        assert levels(pixels(saved.value.path()), expected[1]) <= 1
        page.fill("#seed", "-1")
        assert status(page, "Seed -1") == "Seed -1: give a whole number from 0 to 2^63-1."
        assert faults == []
        for name, text, said in (("mapping.onnx", "x", "mapping.onnx cannot be used"), (MODEL, "{", "is damaged")):
            (folder / name).write_text(text)
            page = chrome.new_page()  # with an empty cache
            page.goto(address)
            assert said in status(page, "^The model cannot be used") and page.locator("#generator").is_hidden()


def test_a_translator(package: bytes, chrome: Any, tmp_path: Path) -> None:
    model = loaded(tmp_path, TRANSLATOR)
    folder = tmp_path / "page"
    write_page(model, folder, package)
    photograph = Image.fromarray(to_uint8(example_images(1, 3, (321, 481)))[0].permute(1, 2, 0).numpy())
    photograph.save(tmp_path / "photograph.png")
    (tmp_path / "text.png").write_text("no image")
    with served(folder) as address:
        page, faults = chrome.new_page(), Faults()
        faults.watch(page)
        page.goto(address)
        status(page, "^Ready")
        page.set_input_files("#file", tmp_path / "text.png")
        assert status(page, "text.png") == "text.png is not an image that this browser can read; use JPEG, PNG or WebP."
        page.set_input_files("#file", tmp_path / "photograph.png")
        status(page, "^481x321 pixels")
        (before,), (after,) = images(page, "#before"), images(page, "#after")
        assert levels(before, photograph) == 0
        assert levels(after, photograph) > 10 and levels(after, model.translate(photograph)) <= 1
        with page.expect_download() as saved:
            page.click("#save")
        assert saved.value.suggested_filename == "photograph_translated.png"
        # The page cannot reach the network, and its worker cannot either.
        blocked = "async (url) => { try { await fetch(url); return 'sent'; } catch { return 'blocked'; } }"
        assert page.evaluate(blocked, f"{address.replace('127.0.0.1', 'localhost')}x") == "blocked"
        assert page.workers[0].evaluate(blocked, f"{address.replace('127.0.0.1', 'localhost')}x") == "blocked"
        assert [each for each in faults if "Content Security Policy" not in each and "Failed" not in each] == []
