"""Values for the rules of `gan.runs.health` that need the images and the data of a run.

Of generated and real images, see `of_images`:
diversity      mean distance between the thumbnails of two samples, divided by that of two real images
class, class_diversity  the class with the lowest of these ratios, and the ratio
copies         rate of copies
checkered      power at the frequencies of upsampling above that of real images, in decibels
inverted       fraction of images that are nearer to negatives of real images, above that of real images
colors         contrast or saturation, whichever is lower, divided by that of real images
noise          range of neighboring pixels in flat areas, in levels, above that of real images
constant       fraction of the pixels that are the same in nearly all real images

Of the files, see `of_files`:
files, folders   training images, and sub-folders of them
largest_class    fraction of the images in the largest sub-folder
cut              fraction of an image that data.fit=crop cuts, on average
enlarged         fraction of images that are enlarged pixel art
duplicates       fraction of images that are nearly identical to another

Of the options, see `of_options`:
network, rate    the network whose learning rate differs most from that of the recipe, and their quotient
batch, group     images per batch, and those that the minibatch standard deviation compares
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from gan.data import checks
from gan.data.sources.files import find
from gan.evaluation.sets import Request, collect
from gan.evaluation.tables import search_copies
from gan.metrics.attributes import contrast, saturation
from gan.metrics.pixels import diversity, luminance, rgb, thumbnails
from gan.model import Model
from gan.models import loading
from gan.networks.grid import base_grid
from gan.utils.option_values import pair

MAX_FILES = 500  # inspected, evenly spread
SAME = 6.0  # standard deviation over images, of 255, below which a pixel is the same in all
FLAT = 4  # range of neighboring pixels of a flat area, of 255
OF_CLASS = 64  # images of each class
IMAGES = 500  # generated images, and real ones beside them
NETWORKS = ("generator", "discriminator")


def of_images(generated: Tensor, real: Tensor) -> dict[str, float]:
    """Return what generated images lack that real ones have. Both are uint8 (N, C, H, W) with N of at least 2."""
    values = {
        "diversity": diversity(generated) / max(diversity(real), 1e-9),
        "checkered": checkered(generated, real),
        "inverted": inverted(generated, real) - inverted(real[::2], real[1::2]),
        "colors": min(faded(measure, generated, real) for measure in (contrast, saturation)),
        "noise": flat_range(generated) - flat_range(real),
    }
    if real.shape[1] < 4:  # pixels around a cut-out subject are the same in all images
        values["constant"] = float((rgb(real).std(0).amax(0) < SAME).float().mean())
    return values


def checkered(generated: Tensor, real: Tensor) -> float:
    """Return the power of generated images above that of real ones at a frequency of upsampling, in decibels.

    A layer that doubles the size to s pixels draws a checkerboard with a period of two of its pixels, which is s / 2
    cycles per side along both axes at once. It is a peak: blurred or noisy images, which differ from real ones at the
    neighboring frequencies, too, have none. Stripes along one axis do not count, because many real images have them.
    Both sets are uint8 (N, C, H, W).
    """
    height, width = real.shape[2:]
    excess = power_spectrum(generated) - power_spectrum(real)  # (H, W)
    peaks = []
    for doubling in range(min(2, base_grid((height, width))[2])):  # coarser patterns look like contents
        row, column = height >> (1 + doubling), width >> (1 + doubling)
        peak = excess[row, column]
        near = [excess[(row + 4 * i) % height, (column + 4 * j) % width] for i in (-1, 0, 1) for j in (-1, 0, 1)]
        peaks.append(float(min(peak, peak - torch.stack(near[:4] + near[5:]).mean())))
    return max(peaks)


def power_spectrum(images: Tensor) -> Tensor:
    """Return the mean power of the luminance of images uint8 (N, C, H, W) in decibels, (H, W)."""
    height, width = images.shape[2:]
    window = torch.outer(torch.hann_window(height), torch.hann_window(width))
    y = luminance(rgb(images))[:, 0]
    power = torch.fft.fft2((y - y.mean((1, 2), keepdim=True)) * window).abs().square().mean(0)
    return 10 * (power + 1).log10()


def inverted(images: Tensor, real: Tensor) -> float:
    """Return the fraction of images that are nearer to the negative of a real image than to a real image."""
    small, positive = thumbnails(images), thumbnails(real)
    negative = thumbnails((255 - rgb(real)).round().to(torch.uint8))
    return float((torch.cdist(small, negative).amin(1) < torch.cdist(small, positive).amin(1)).float().mean())


def faded(measure: Any, generated: Tensor, real: Tensor) -> float:
    """Return the mean of an attribute of generated images divided by that of real ones; 1 if these do not have it."""
    of_generated, of_real = (float(measure(images / 127.5 - 1).mean()) for images in (generated, real))
    return of_generated / of_real if of_real > 0.02 else 1.0


def flat_range(images: Tensor) -> float:
    """Return the range of the luminance in squares of 3 pixels, in levels, that a quarter of all squares is below."""
    y = luminance(rgb(images[:64]))
    return float((max_pool2d(y, 3, 1) + max_pool2d(-y, 3, 1)).flatten().quantile(0.25))


def of_model(run: Path, checkpoint: str, device: str) -> dict[str, Any]:
    """Return the values of the images that a checkpoint of a run generates or translates, beside its real images."""
    request = Request(run, images=IMAGES, memorization=4 * IMAGES, checkpoint=checkpoint, device=device)
    sets, *_, translations, _ = collect(request)
    values: dict[str, Any] = of_images(sets.generated, sets.reference)
    rate = search_copies(sets)[0] if len(sets.train) else None
    values |= {} if rate is None else {"copies": rate}
    if translations is None and (model := Model.from_pretrained(run, checkpoint=checkpoint).to(device)).classes:
        values |= of_classes(model, loading.load_data(model.config, run))
    return values


def of_classes(model: Model, data: Any) -> dict[str, Any]:
    """Return the class whose generated images differ least among themselves, beside its real ones."""
    reals, labels = data.reals(4 * IMAGES), data.real_labels(4 * IMAGES)
    ratios = {}
    for number, name in enumerate(model.classes):
        if (labels == number).sum() >= checks.MIN_CLASS:
            generated = model.generate(list(range(OF_CLASS)), label=name).pixels
            ratios[name] = diversity(generated) / max(diversity(reals[labels == number][:OF_CLASS]), 1e-9)
    worst = min(ratios, key=lambda name: ratios[name], default=None)
    return {} if worst is None else {"class": worst, "class_diversity": ratios[worst]}


def of_files(roots: Sequence[str], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the image files of a run are like. `config` has its options by dotted names."""
    files = find(roots)
    chosen = files[:: -(-len(files) // MAX_FILES)]
    report = checks.summarize(chosen, checks.inspect_files(chosen, lambda n: None), None)
    values: dict[str, Any] = {"files": min(len(files), config.get("data.max_images") or len(files))}
    if not report["readable"]:
        return values
    classes, searched = report["classes"], report["enlarged"]["searched"]
    copies = [path for groups in report["duplicates"].values() for group in groups for path in group[1:]]
    values |= {
        "duplicates": len(copies) / report["readable"],
        "enlarged": report["enlarged"]["images"] / max(1, searched),
        "folders": len(classes),
    }
    if len(classes) > 1 and not config.get("data.labels"):
        values["largest_class"] = max(classes.values()) / report["readable"]
    if config.get("data.fit") == "crop":
        height, width = pair(config.get("data.size"))
        values["cut"] = mean_cut(report["sizes"], height, width)
        shape, short = report["suggestion"]["size"], min(height, width)
        sides = [side * short // min(shape) for side in shape]
        values |= {"shape": f"[{sides[0]},{sides[1]}]", "fit": report["suggestion"]["fit"]}
    return values


def mean_cut(sizes: Mapping[str, int], height: int, width: int) -> float:
    """Return the mean fraction of an image outside of a centered crop. `sizes` has the number of files by WxH."""
    cuts = []
    for size, count in sizes.items():
        of_width, of_height = map(int, size.split("x"))
        aspect = of_height / of_width * width / height
        cuts += [1 - min(aspect, 1 / aspect)] * count
    return sum(cuts) / len(cuts)


def of_options(config: Mapping[str, Any], recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the batches and the learning rates of a run, beside those of its recipe; options have dotted names."""
    sizes = {"batch": config.get("data.batch_size"), "group": config.get("model.discriminator.mbstd_group_size")}
    values: dict[str, Any] = {name: value for name, value in sizes.items() if isinstance(value, int)}
    for network in NETWORKS:
        name = f"model.{network}_optimizer.lr"
        rate, usual = config.get(name), recipe.get(name)
        if isinstance(rate, float) and isinstance(usual, float) and rate > 0 < usual:
            values |= {f"half_lr_{network}": rate / 2, f"double_lr_{network}": rate * 2, f"recipe_lr_{network}": usual}
            if abs(math.log(rate / usual)) >= abs(math.log(values.get("rate", 1))):
                values |= {"rate": rate / usual, "network": network}
    return values
