"""Texture of model=style on held-out photographs, beside its closed forms and the ground truth.

python tests/benchmarks/texture.py PHOTOS LOOK_OR_FOLDER OUT [options of train.py]

PHOTOS is a folder of photographs. LOOK_OR_FOLDER is a look, as `gan translate --list-looks` has them, or a folder of
real targets. Two fifths of the photographs are inputs, two fifths become targets, and a fifth is held out; so is a
fifth of real targets.
Training has `images=45_000` by default, about ten minutes of one core. Prints a row for each stage of the
generator: distance of radial spectra and of all frequencies of luminance in dB, KID in features of random_conv and of
Lite0 (not x 1000), all between 500 held-out and 500 training patches of 64 pixels, and the correlation of blurred
luminance with the color map. OUT gets the folders of images, the run, and a contact sheet.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from spectrum import ROUNDING, spectral_distance
from torch import Tensor
from torch.nn import functional as F

from gan.api import load
from gan.looks.registry import make_style
from gan.metrics.extractors import extractor, features
from gan.metrics.kid import squared_mmd
from gan.metrics.pixels import luminance
from gan.networks.resampling import blur
from gan.translation.tiling import translate

SIDE, COUNT = 64, 500
EXTRACTORS = ("random_conv", "lite0")
SHOWN, CROP = 5, 160  # photographs of the contact sheet, and their side in pixels
ENDINGS = (".jpg", ".jpeg", ".png")
ROOT = Path(__file__).parents[2]


def files(folder: str | Path) -> list[Path]:
    """Return the image files of a folder in a random but fixed order."""
    found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in ENDINGS)
    return [found[n] for n in np.random.RandomState(0).permutation(len(found))]


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def prepare(photographs: list[Path], look: str, out: Path) -> None:
    """Write the folders a, b (training), held_out and truth (of held_out, or other targets) into `out`."""
    fifth = len(photographs) // 5
    sets = {
        "a": photographs[: 2 * fifth],
        "b": photographs[2 * fifth : 4 * fifth],
        "held_out": photographs[4 * fifth :],
    }
    sets["truth"] = sets["held_out"]
    apply = None if Path(look).is_dir() else make_style(look)
    if apply is None:
        targets = files(look)
        sets["b"], sets["truth"] = targets[len(targets) // 5 :], targets[: len(targets) // 5]
    for name, paths in sets.items():
        (out / name).mkdir(parents=True)
        for number, path in enumerate(paths):
            pixels = read(path)
            if apply is not None and name in ("b", "truth"):
                pixels = apply(pixels, 1000 + number + (len(paths) if name == "truth" else 0))
            if min(pixels.shape[:2]) >= SIDE:
                Image.fromarray(pixels).save(out / name / f"{number:04}.png")


def images(folder: Path) -> list[Tensor]:
    """Return the images of a folder, uint8 (3, H, W) each."""
    return [torch.from_numpy(read(path).copy()).permute(2, 0, 1) for path in sorted(folder.iterdir())]


def patches(of: list[Tensor]) -> Tensor:
    """Return COUNT patches, uint8 (COUNT, 3, SIDE, SIDE), at random but fixed places."""
    random, cut = np.random.RandomState(5), []
    for n in range(COUNT):
        image = of[n % len(of)]
        top, left = (random.randint(side - SIDE + 1) for side in image.shape[1:])
        cut.append(image[:, top : top + SIDE, left : left + SIDE])
    return torch.stack(cut)


def log_power(of: Tensor) -> Tensor:
    """Return the mean power of luminance at each frequency in dB (SIDE, SIDE)."""
    y = luminance(of).double()[:, 0]
    taper = torch.outer(*[torch.hann_window(SIDE, periodic=False, dtype=torch.float64)] * 2)
    power = torch.fft.fft2((y - y.mean((1, 2), keepdim=True)) * taper).abs().square().mean(0) / taper.square().sum()
    return 10 * torch.log10(power + ROUNDING)


def correlation(first: Tensor, second: Tensor) -> float:
    """Return the correlation of the blurred luminance of two images."""
    blurred = [blur(luminance(image[None]).float(), 3.0).flatten() for image in (first, second)]
    return float(torch.corrcoef(torch.stack(blurred))[0, 1])


def contact_sheet(columns: list[list[Tensor]]) -> Image.Image:
    """Return an image with a row per photograph and a column per list. Missing pixels are black."""

    def square(x: Tensor) -> Tensor:
        return F.pad(x, (0, CROP - x.shape[2], 0, CROP - x.shape[1]))  # crops where it is larger

    rows = [torch.cat([square(each[n]) for each in columns], 2) for n in range(SHOWN)]
    return Image.fromarray(torch.cat(rows, 1).permute(1, 2, 0).numpy())


def main(photographs: str, look: str, out: Path, *options: str) -> None:
    prepare(files(photographs), look, out)
    typed = [
        f"data.a={out / 'a'}",
        f"data.b={out / 'b'}",
        "callback=[progress,checkpoint,evaluate]",
        f"hydra.run.dir={out / 'run'}",
    ]
    length = [] if any(word.startswith(("images=", "minutes=")) for word in options) else ["images=45_000"]
    subprocess.run([sys.executable, ROOT / "train.py", "model=style", *typed, *length, *options], check=True)
    network = load(out / "run").network
    held_out, truth, real = images(out / "held_out"), images(out / "truth"), patches(images(out / "b"))
    outputs: dict[str, list[Tensor]] = {}
    for stage in network.stages:
        network.set_stage(stage)
        outputs[stage] = [translate(network, image) for image in held_out]
    outputs["truth"] = truth
    extractors = {name: extractor(name).eval() for name in EXTRACTORS}
    wanted, power = {name: features(each, real) for name, each in extractors.items()}, log_power(real)
    print(f"{'':10}" + "".join(f"{name:>13}" for name in ("radial dB", "2-D dB", *EXTRACTORS, "correlation")))
    for stage, translated in outputs.items():
        cut = patches(translated)
        values = [spectral_distance(real, cut), float((log_power(cut) - power).flatten()[1:].square().mean().sqrt())]
        values += [squared_mmd(wanted[name], features(each, cut)) for name, each in extractors.items()]
        if translated is not truth or not Path(look).is_dir():
            pairs = zip(translated, outputs["color"], strict=True)
            values.append(float(np.mean([correlation(*pair) for pair in pairs])))
        print(f"{stage:10}" + "".join(f"{value:13.4f}" for value in values), flush=True)
    contact_sheet([held_out, *outputs.values(), images(out / "b")]).save(out / "sheet.png")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]).absolute(), *sys.argv[4:])
