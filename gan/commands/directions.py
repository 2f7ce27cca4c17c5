"""Find directions of the latents in which a trained run's images change, and draw a sheet of each."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan.commands.generate import checked_device, choose_model, chosen_model, in_run, parse_seeds
from gan.commands.resumable import Findings
from gan.common.errors import UserError, writing
from gan.common.files import write_atomically
from gan.common.names import file_name
from gan.common.progress import counting

if TYPE_CHECKING:
    from torch import Tensor

    from gan.latent.attributes import Attribute
    from gan.latent.effects import Effect
    from gan.model import Model

FOLDER = "directions"
FILE = "directions.safetensors"
ATTRIBUTES = "attributes.json"
STEPS = (-3, -2, -1, 0, 1, 2, 3)  # a sheet's columns, in units of how far images usually lie apart
SET = (-1.0, -0.5, 0.0, 0.5, 1.0)  # the columns of an attribute's


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="run folder")
    parser.add_argument("--sefa", type=int, default=8, metavar="N", help="of the weights (default: %(default)s)")
    parser.add_argument("--pca", type=int, default=8, metavar="N", help="of many images (default: %(default)s)")
    parser.add_argument("--seeds", default="0-3", help="a sheet's rows (default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"for {FILE} and the sheets (default: RUN/{FOLDER})")
    parser.add_argument("--class", dest="label", metavar="NAME", help="whose images are taken, with data.labels")
    parser.add_argument(
        "--attributes",
        type=int,
        default=0,
        metavar="N",
        help="over so many images, as 256, measure what gan edit --set does; also written to attributes.json",
    )
    parser.add_argument("--recognition", type=Path, metavar="DIR", help="also measure the classes of a classifier that "
                        "gan recognize fit has made with this run")  # fmt: skip
    choose_model(parser)
    parser.add_argument("--force", action="store_true", help="write over directions that exist")


def run(arguments: argparse.Namespace) -> None:
    seeds = parse_seeds(arguments.seeds)
    out = in_run(arguments.run, arguments.out, FOLDER)
    if (out / FILE).exists() and not arguments.force:
        raise UserError(f"{out / FILE}: exists already; --force writes over it")
    if min(arguments.sefa, arguments.pca) < 0 or not arguments.sefa + arguments.pca:
        raise UserError("--sefa and --pca: nothing to find")
    if arguments.attributes and arguments.attributes < 2:
        raise UserError(f"--attributes {arguments.attributes}: at least 2 images")
    if arguments.recognition and not arguments.attributes:
        raise UserError("--recognition: classes are measured with --attributes N")

    from gan.latent import effects, store
    from gan.latent.space import Space
    from gan.recognition import classifier

    model = chosen_model(arguments)
    if arguments.recognition:
        model.attributes = classes(arguments, arguments.recognition) | model.attributes
    space = Space(model.generator)
    learned = [arguments.recognition / classifier.WEIGHTS] if arguments.recognition else []
    findings = Findings(out, arguments, store.fingerprint(model.generator), *learned)
    points, labels = model.points(seeds, arguments.label)
    vectors = model.directions(arguments.sefa, arguments.pca, arguments.label)
    with writing(out):
        (out / ATTRIBUTES).unlink(missing_ok=True)  # of what --force writes over
        with counting(f"drawing sheets into {out}", len(vectors)) as advance:
            for name, vector in vectors.items():
                save_sheet(
                    out / file_name(name, ".png"), [space.draw(points + step * vector, labels) for step in STEPS]
                )
                advance(1)
        if arguments.attributes:
            found = measured(model, arguments.attributes, findings)
            for name in found:
                changed = [model.edit(points, labels, **{name: value}) for value in SET]
                save_sheet(out / file_name(name, ".png"), [space.draw(each, labels) for each in changed])
            text = json.dumps({name: effect._asdict() for name, effect in found.items()}, indent=1)
            write_atomically(out / ATTRIBUTES, lambda file: file.write(text.encode()))
            print("\n".join(effects.table(found)))
        store.write(out / FILE, vectors, space)  # at last, so that what was interrupted is not taken for whole
        findings.done()


def measured(model: Model, images: int, findings: Findings) -> dict[str, Effect]:
    """What setting each attribute does."""
    from gan.latent import effects
    from gan.latent.effects import Effect
    from gan.latent.position import POSITIONS

    measure = model.measuring(images)

    def values(name: str) -> dict[str, Any]:
        return measure(name)._asdict()

    names, found = (*model.attributes, *POSITIONS), {}
    with counting(f"measuring attributes over {images} images", len(names)) as advance:
        for name in names:
            found[name] = Effect(**findings.take(name, partial(values, name), effects.fits))
            advance(1)
    return found


def classes(arguments: argparse.Namespace, folder: Path) -> dict[str, Attribute]:
    """Those of the classifier in a folder, which is of the run, as attributes."""
    from gan.recognition import classifier

    device = checked_device(arguments.device)
    return classifier.load(arguments.run, arguments.checkpoint, folder, device).attributes()


def save_sheet(path: Path, columns: list[Tensor]) -> None:
    """A picture of a sheet whose columns are uint8 (rows, C, H, W)."""
    import torch

    from gan.images.convert import grid, save_png

    save_png(grid(torch.stack(columns, 1).flatten(0, 1), len(columns)), path)
