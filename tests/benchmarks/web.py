"""Speed of pages of gan export --to web: python tests/benchmarks/web.py RUN [RUN ...]

For each run it prints a row of a table in Markdown: the size of the page, and the time for one image in Chromium
(WebAssembly, one thread) and in PyTorch (one thread). Generators make the images of 16 seeds, translators a photograph
of 256x256 pixels. The times are medians of rounds that take turns, so that other load affects both alike. It needs
playwright and Chromium.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gan import api
from gan.export import web
from gan.export.parts import example_images
from gan.export.web import write_page
from gan.images.convert import to_uint8
from gan.translation.translator import Translator
from tests.browser import browser, served

ROUNDS = 9
SEEDS = 16
SIDE = 256  # pixels of the translated image
OPEN = """async () => {
  window.ask = (await import("./page.mjs")).ask;
  await ask("load", {}, (item) => { window.model = item; });
}"""
RUN = """async ([count, side, pixels]) => {
  const started = performance.now();
  if (model.kind === "generator")
    await ask("generate", { seeds: Array.from({ length: count }, (_, n) => BigInt(n)),
      settings: { label: null, truncation: 1, vectors: {} } }, () => {});
  else await ask("translate", { direction: model.parts[0],
    image: new ImageData(new Uint8ClampedArray(pixels), side, side) }, () => {});
  return performance.now() - started;
}"""


def timed(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - started)


def row(run: Path, chrome: Any, package: bytes) -> list[str]:
    model = api.load(run)
    translates = isinstance(model, Translator)
    image = to_uint8(example_images(1, 3, (SIDE, SIDE)))[0]
    rgba = torch.cat([image, torch.full_like(image[:1], 255)]).permute(1, 2, 0)
    pixels = rgba.flatten().tolist() if translates else []
    with tempfile.TemporaryDirectory() as name:
        write_page(model, Path(name), package)
        size = sum(path.stat().st_size for path in Path(name).iterdir())
        with served(Path(name)) as address:
            page = chrome.new_page()
            page.goto(address)
            page.evaluate(OPEN)
            times: list[tuple[float, float]] = []
            for _ in range(ROUNDS):
                here = timed(lambda: model.translate(image) if translates else model.generate(list(range(SEEDS))))
                times.append((page.evaluate(RUN, [SEEDS, SIDE, pixels]), here))
            page.close()
    count = 1 if translates else SEEDS
    there, here = (statistics.median(each) / count for each in zip(*times[2:], strict=True))
    return [run.name, f"{size / 1e6:.1f}", f"{there:.1f}", f"{here:.1f}", f"{there / here:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    runs = parser.parse_args().runs
    torch.set_num_threads(1)
    headings = "run", "MB, page", "ms, browser", "ms, PyTorch", "ratio"
    print("|", " | ".join(headings), "|")
    print("|---" * len(headings) + "|")
    package = web.find()
    with browser() as chrome:
        for run in runs:
            print("|", " | ".join(row(run, chrome, package)), "|", flush=True)


if __name__ == "__main__":
    main()
