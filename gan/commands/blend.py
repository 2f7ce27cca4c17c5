"""Blend two generators, such as zoo:start64 and a run that started from it, and write the result as `gan share` does.

Layers that compute small grids determine the layout of images. Layers that compute large grids determine texture and
color. Pinkney, Adler, 2020, arXiv:2010.05334.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gan.commands import options
from gan.models import address
from gan.models.shared_model import refuse_existing
from gan.settings import BLEND, LAYERS, SOFT, parse_license


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="A", type=options.existing_run, help="model of the coarse layers and the classes: "
                        f"{options.MODEL}")  # fmt: skip
    parser.add_argument("b", metavar="B", type=options.existing_run, help="model of the fine layers; its training "
                        "started from A")  # fmt: skip
    for setting in (LAYERS, SOFT, BLEND):
        setting.add_to(parser)
    options.add_out(parser, "folder to write; a new or empty one")
    parser.add_argument("--license", type=parse_license, metavar="NAME", help="license, as for gan share (default: the "
                        "strictest one of the shared models from which the weights come; required if there are "
                        "none)")  # fmt: skip
    options.add_relicense(parser)
    options.add_device(parser)
    options.add_force(parser, "overwrite the model in a folder that is not empty, and keep its other files")


def run(arguments: argparse.Namespace) -> None:
    out, given = arguments.out, (arguments.a, arguments.b)
    refuse_existing(out, arguments.force)
    device = options.prepare_device(arguments)

    from gan.export import share
    from gan.model import Model
    from gan.models import card, shared_files
    from gan.models.loading import licenses_of

    a, b = (Model.from_pretrained(model).to(device) for model in given)
    blended = a.blend(b, arguments.layers, arguments.soft, arguments.weight)
    starts = licenses_of(a.config) | licenses_of(b.config)
    license = shared_files.checked_license(starts, arguments.license, arguments.relicense)
    names = [each if address.is_address(each) else Path(each).resolve().name for each in given]
    values = {name: vars(arguments)[name] for name in ("layers", "soft", "weight")}
    chosen = [f"--{name} {value}" for name, value in values.items() if value is not None]
    origin = f"It is a blend of two models: `gan blend {' '.join([*names, *chosen])}`. {card.credit(starts)}".rstrip()
    about = {"name": out.resolve().name or "model", "license": license, "trained_on": None, "origin": origin}
    files = shared_files.collect(blended, **about)
    share.write(out, files, license)
