"""Measure how good and how original the images of a run, or of a folder, are."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gan.commands.data import parse_size
from gan.commands.generate import below, checked_device
from gan.common.errors import UserError, at_least, writing
from gan.metrics import pretrained
from gan.run import run_folder

if TYPE_CHECKING:
    from torch import Tensor

    from gan.evaluation.generator import Row, Sets
    from gan.evaluation.translator import Pictures
    from gan.model import Model

PAIRS = 24  # most copied images that are shown
BATCH = 256  # images drawn at a time
# options of a run's images that also decode the images they are compared with
DECODING = ("size", "channels", "fit", "patches_per_image", "resample", "background")
COLUMNS = (  # value, heading, width, factor, digits
    ("kid", "KIDx1000", 10, 1000, 2),
    ("fd", "FD", 8, 1, 1),
    ("precision", "precis.", 9, 1, 3),
    ("recall", "recall", 8, 1, 3),
    ("clipped_density", "density", 9, 1, 3),
    ("clipped_coverage", "coverage", 10, 1, 3),
    ("copies", "copies", 8, 1, 3),
)
FAITHFULNESS = (  # the same, of a translator
    ("gain", "gain", 8, 1, 3),
    ("ciede2000", "dE00", 8, 1, 2),
    ("psnr", "PSNR", 8, 1, 2),
    ("ssim", "SSIM", 8, 1, 3),
    ("perceptual", "percept.", 10, 1, 4),
    ("kid_target", "KID target", 12, 1000, 1),
    ("kid_source", "KID source", 12, 1000, 1),
    ("spectrum", "spectrum", 10, 1, 2),
    ("luminance_correlation", "lum. corr.", 12, 1, 3),
    ("luminance_ssim", "lum. SSIM", 11, 1, 3),
)
HELD_OUT_BY = ("root", "a", "b", "split", "validation", "split_seed")  # data options that say what is not seen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="RUN_OR_FOLDER", help="run folder, checkpoint file, or folder of images")
    parser.add_argument("--against", metavar="FOLDER", help="real images: a folder, or RUN:train or RUN:val (default: "
                        "those that the run has held out, or else was trained on)")  # fmt: skip
    parser.add_argument("--extractor", default="lite0", help="lite0, random_conv, inception, dinov2 or your own as "
                        "module.Class, several with commas (default: %(default)s)")  # fmt: skip
    parser.add_argument(
        "--images", type=int, default=5000, help="generated and real ones at most (default: %(default)s)"
    )
    parser.add_argument("--originals", type=int, default=10_000,
                        help="training images at most to look for copies of (default: %(default)s)")  # fmt: skip
    parser.add_argument("--average", type=float, metavar="WIDTH", help="one of the run's model.power_averages")
    parser.add_argument("--checkpoint", default="best", help="best, last or a file (default: %(default)s)")
    parser.add_argument("--size", help="of two folders: bring images to 64 or 96x64 (height x width); default: that of "
                        "the first image")  # fmt: skip
    parser.add_argument("--looks", action="store_true", help="also colors, grid and alpha of pixel art, tone and grain")
    parser.add_argument("--pairs", type=Path, metavar="PNG", help="the images most like one trained on, beside it "
                        "(default for a run: in its samples/)")  # fmt: skip
    parser.add_argument("--beside", metavar="RUN,RUN", help="of a translator: others, on the same pictures, "
                        "such as one that learned from pairs")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="a JSON object a number instead of the table")
    parser.add_argument("--weights", metavar="PATH", help="file of an extractor's weights, or the folder of it")
    parser.add_argument("--download", action="store_true", help="fetch weights that are missing")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    at_least("--images", arguments.images, 2)
    at_least("--originals", arguments.originals, 1)
    names = arguments.extractor.split(",")
    for name in names:  # before anything that takes time
        if name in pretrained.KNOWN:
            pretrained.find(name, arguments.weights, arguments.download)
    from gan.metrics.extractors import extractor_class

    for name in names:
        extractor_class(name)
    with redirect_stdout(sys.stderr):  # so that the standard output is the table, or JSON
        found = gather(arguments)
        copies = look_for_copies(found) if len(found.sets.train) else None
        results = [score(name, found, arguments, copies) for name in names]
        faithful = faithfulness(found, results[0].extractor) if found.translated else []
    lines = [line for result in results for line in result.records]
    if faithful:
        from gan.evaluation.generator import records

        lines += records(faithful, results[0].extractor, found.protocol)
    if found.run:
        append(found.run / run_folder.EVALUATION, lines)
    if arguments.json:
        print("\n".join(map(json.dumps, lines)))
        return
    print(found.title)
    for result in results:
        print_table(result.extractor, result.rows, COLUMNS)
        for line in result.warnings:
            print(f"note: {line}")
    if faithful:
        print_table(results[0].extractor, faithful, FAITHFULNESS)
    if arguments.looks:
        print_looks(found.sets)


class Found(NamedTuple):
    """What is to be measured, and what every number of it says."""

    title: str
    sets: Sets
    protocol: dict[str, Any]
    run: Path | None
    pairs: Path | None
    translated: Pictures | None = None


class Result(NamedTuple):
    extractor: Any
    rows: list[Row]
    records: list[dict[str, Any]]
    warnings: list[str]


def gather(arguments: argparse.Namespace) -> Found:
    """Images of all sets, and the protocol."""
    from gan.evaluation.generator import digest
    from gan.inference import loading
    from gan.model import drawing

    if arguments.pairs and arguments.pairs.exists():
        raise UserError(f"--pairs {arguments.pairs}: exists already; give another name")
    source, pairs = Path(arguments.source), arguments.pairs
    folder = source if (source / run_folder.CONFIG).is_file() else None
    if folder:
        below(folder, folder / run_folder.EVALUATION)
    translated = None
    if not is_run(source):
        sets, protocol = of_folder(source, arguments)
    else:
        checkpoint = run_folder.find(source, arguments.checkpoint)
        network, state = loading.network_of(checkpoint, arguments.average)
        if hasattr(network, "latent_dim"):
            sets, protocol = of_run(source, checkpoint, drawing(checkpoint, network, state), arguments)
        else:
            network = loading.translating(checkpoint, network)
            sets, protocol, translated = of_translator(source, checkpoint, network, state, arguments)
    if min(len(sets.generated), len(sets.reference)) < 2:
        raise UserError(f"{source}: at least two images, and as many to compare with, are needed")
    if folder and not pairs:
        pairs = below(folder, folder / run_folder.SAMPLES / f"copies-{protocol['images_seen']:09d}.png")
    protocol |= {
        "against_sha256": digest(sets.reference),
        "size": list(sets.generated.shape[2:]),
        "channels": sets.generated.shape[1],
        "copies_among": len(sets.train),
        "flips": sets.flips,
        "code": run_folder.revision(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    title = (
        f"{protocol['source']}: {len(sets.generated):,} images against {len(sets.reference):,} of {protocol['against']}"
    )
    return Found(title, sets, protocol, folder, pairs, translated)


def is_run(path: Path) -> bool:
    return path.suffix == ".ckpt" or (path / run_folder.CONFIG).is_file()


def of_translator(
    source: Path, checkpoint: Path, network: Any, state: dict[str, Any], arguments: argparse.Namespace
) -> tuple[Sets, dict[str, Any], Pictures]:
    """A translator's pictures against real ones of the target, and what else there is to say of them."""
    from gan.evaluation import translator
    from gan.inference import loading

    if arguments.against not in (None, f"{source}:val"):
        raise UserError(f"--against {arguments.against}: a translator is measured by what its run has held out")
    device = checked_device(arguments.device)
    others = arguments.beside.split(",") if arguments.beside else []
    config, beside = state["config"], {}
    for other in others:
        further, its = loading.load_translator(other)
        if its["data"]["channels"] != config["data"]["channels"]:
            raise UserError(f"--beside {other}: translates pictures of {its['data']['channels']} channels")
        if differ := [key for key in HELD_OUT_BY if its["data"].get(key) != config["data"].get(key)]:
            print(f"note: {other} has another data.{', data.'.join(differ)}, and may have seen these pictures")
        beside[other] = further.to(device)
    data = loading.data(config, checkpoint)
    if not translator.keeps(data):
        if arguments.against:
            raise UserError(f"{source}: has held no pictures out; data.split does")
        print("note: no pictures were held out (data.split=file does): these were trained on")
    elif source.is_dir() and checkpoint == run_folder.best(source):
        print("note: the best checkpoint was chosen by these pictures; --checkpoint last was not")
    pictures = translator.translated(network.to(device), data, arguments.images, beside)
    part = part_of(data)
    sets = real_sets(data, part, arguments)._replace(generated=pictures.outputs)
    return (
        sets,
        {
            "source": str(source),
            "checkpoint": checkpoint.name,
            "images_seen": int(state["images"]),
            "generator": "averaged (EMA)",
            "against": f"{source}:{part}",
            "translated": "held out" if translator.keeps(data) else "trained on",
        },
        pictures,
    )


def faithfulness(found: Found, extractor: Any) -> list[Row]:
    """The rows of what a translator did to pictures."""
    from gan.evaluation import translator
    from gan.metrics.extractors import features

    assert found.translated is not None
    return translator.evaluate(found.translated, lambda images: features(extractor, images))


def of_run(source: Path, checkpoint: Path, model: Model, arguments: argparse.Namespace) -> tuple[Sets, dict[str, Any]]:
    """A run's images against real ones."""
    import torch

    from gan.common.progress import counting
    from gan.inference import loading
    from gan.inference.sampling import FAKES_SEED

    model.to(checked_device(arguments.device))
    against, n = arguments.against, arguments.images
    if against in (None, f"{source}:train", f"{source}:val"):
        data = loading.data(model.config, checkpoint)
        part = against.rpartition(":")[2] if against else part_of(data)
        sets, against = real_sets(data, part, arguments), f"{source}:{part}"
    else:
        options = {name: model.config["data"][name] for name in DECODING if name in model.config["data"]}
        sets = real_sets(folder(against, **options), "train", arguments)._replace(
            train=trained_on(model, checkpoint, arguments.originals)
        )
    with counting("drawing", n) as advance:
        drawn = []
        for first in range(0, n, BATCH):
            drawn.append(model.draw(list(range(FAKES_SEED + first, FAKES_SEED + min(first + BATCH, n)))))
            advance(len(drawn[-1]))
    return sets._replace(generated=torch.cat(drawn)), {
        "source": str(source),
        "checkpoint": checkpoint.name,
        "images_seen": model.images,
        "generator": "averaged (EMA), BatchNorm statistics re-estimated",
        "seeds": [FAKES_SEED, FAKES_SEED + n - 1],
        "against": against,
    }


def of_folder(source: Path, arguments: argparse.Namespace) -> tuple[Sets, dict[str, Any]]:
    """The images of one folder against those of another."""
    from gan.data.decoding.errors import ImageError
    from gan.data.decoding.pool import IsolatedProcess
    from gan.data.sources.files import find

    if arguments.against is None:
        raise UserError(f"{source}: is no run; say which real images it is to be compared with: --against FOLDER")
    try:
        with IsolatedProcess() as apart:
            shape = apart(shape_of, find([str(source)])[0])
    except ImageError as error:
        raise UserError(f"{source}: its first image cannot be read ({error})") from error
    size = parse_size(arguments.size) if arguments.size else shape[:2]
    options = {"size": size, "channels": shape[2]}
    generated = folder(str(source), **options).reals(arguments.images)
    sets = real_sets(folder(arguments.against, **options), "train", arguments)
    return sets._replace(generated=generated), {"source": str(source), "against": arguments.against}


def shape_of(file: Any) -> tuple[int, int, int]:
    """Height, width and channels, 3 or 4, of a file's first image; ImageError where it cannot be read."""
    from gan.data.decoding.reader import read_first_frame
    from gan.data.sources.files import content

    image = read_first_frame(BytesIO(content(file)))
    return image.height, image.width, len(image.mode)


def part_of(data: Any) -> str:
    """The real images to compare with: those held out, where there are some."""
    return "val" if len(data.reals(2, held_out=True)) == 2 else "train"


def real_sets(data: Any, part: str, arguments: argparse.Namespace) -> Sets:
    """The real images of a DataModule, to be compared with those of a part; generated ones are still to come."""
    from gan.evaluation.generator import Sets

    train, held_out = data.reals(arguments.originals), data.reals(arguments.images, held_out=True)
    if part == "val" and not len(held_out):
        raise UserError("--against RUN:val: the run has held no images out; take RUN:train")
    reference = held_out if part == "val" else data.reals(arguments.images)
    return Sets(reference[:0], reference, train, part == "val", data.flips)


def trained_on(model: Any, checkpoint: Path, n: int) -> Tensor:
    """The images that a run was trained on, at most n; none, which is said, where they are no longer there."""
    import torch

    from gan.inference import loading

    try:
        return loading.data(model.config, checkpoint).reals(n)
    except UserError as error:
        print(f"copies are not looked for: {error}")
        return torch.empty(0, 3, 1, 1, dtype=torch.uint8)


def folder(path: str, **options: Any) -> Any:
    """The DataModule of a folder of images, set up."""
    from gan.data.module import ImageDataModule

    data = ImageDataModule(path, **options)
    data.setup("fit")
    return data


def look_for_copies(found: Found) -> float | None:
    """Their rate, and a picture of what is most like a training image."""
    from gan.evaluation import generator
    from gan.evaluation.memorization import Originals
    from gan.images.convert import grid, save_png

    sets = found.sets
    result = Originals(sets.train, sets.reference if sets.held_out else None, sets.flips).compare(sets.generated)
    if found.pairs:
        with writing(found.pairs):
            save_png(grid(generator.pairs(sets, result, PAIRS), columns=8), found.pairs)
        print(f"the images most like one trained on, each beside it: {found.pairs}")
    return result.rate


def score(name: str, found: Found, arguments: argparse.Namespace, copies: float | None) -> Result:
    """All numbers in one extractor."""
    import torch

    from gan.common.progress import counting
    from gan.evaluation import generator
    from gan.evaluation.feature_cache import remembered
    from gan.metrics.extractors import extractor, features

    options = {"weights": arguments.weights, "download": arguments.download} if name in pretrained.KNOWN else {}
    made = extractor(name, **options)
    if isinstance(made, torch.nn.Module):
        made.to(checked_device(arguments.device))
    with counting(f"features in {made.name}", generator.count(found.sets)) as advance:
        rows = generator.evaluate(
            found.sets,
            lambda images: features(made, images, advance),
            lambda images: remembered(made, images, advance),
            copies,
        )
    dimension = getattr(made, "dimension", 0)
    return Result(made, rows, generator.records(rows, made, found.protocol), generator.warnings(rows[0], dimension))


def append(path: Path, lines: list[dict[str, Any]]) -> None:
    with writing(path), open(path, "a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def print_table(extractor: Any, rows: list[Row], columns: Sequence[tuple[str, str, int, int, int]]) -> None:
    print(f"\n{extractor.name} ({getattr(extractor, 'resize', 'its own resize')})")
    print(f"{'':<22}{'images':>7}{'real':>7}" + "".join(f"{heading:>{width}}" for _, heading, width, _, _ in columns))
    for row in rows:
        cells = [
            f"{row.values[value] * factor:.{digits}f}" if value in row.values else "-"
            for value, _, _, factor, digits in columns
        ]
        numbers = "".join(f"{cell:>{column[2]}}" for cell, column in zip(cells, columns, strict=True))
        print(f"{row.name:<22}{row.images:>7}{row.real:>7}{numbers}")


def print_looks(sets: Sets) -> None:
    """Numbers of retro looks, of generated and of real images side by side."""
    from gan.metrics.image_statistics import palette_distance, photograph_statistics, pixel_art_statistics

    print(f"{'looks':<24}{'generated':>12}{'real':>12}")
    for statistics in (pixel_art_statistics, photograph_statistics):
        generated, real = statistics(sets.generated), statistics(sets.reference)
        for name, value in generated.items():
            print(f"{name:<24}{value:>12.4g}{real[name]:>12.4g}")
    print(f"{'palette distance':<24}{palette_distance(sets.reference, sets.generated):>12.4g}")
