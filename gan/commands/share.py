"""Write a folder with a trained model to share: weights, configuration, model card and samples.

The folder contains no paths, user names or code. Commands that use a trained model, and gan.load, accept it in
place of a run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gan.commands import options
from gan.models.shared_model import refuse_existing
from gan.utils.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    options.add_card(parser, "license of the model")
    parser.add_argument("--discriminator", action="store_true", help="also share the discriminator, for gan recognize")
    parser.add_argument("--delta", metavar="BASE", help="store only the weights that differ from those of BASE, the "
                        "model from which the run started: zoo:NAME or hf://USER/NAME")  # fmt: skip
    parser.add_argument("--no-samples", action="store_true", help="write no samples.png; that of a translator shows "
                        "some of your photographs")  # fmt: skip
    options.add_weights(parser)


def run(arguments: argparse.Namespace) -> None:
    out = arguments.folder
    if Path(arguments.run).resolve() == out.resolve():
        raise UserError(f"{out}: is the model itself; give another folder")
    refuse_existing(out, arguments.force)

    from gan.export import share

    files = share.collect(
        arguments.run,
        name=out.resolve().name or "model",
        license=arguments.license,
        trained_on=arguments.trained_on,
        checkpoint=arguments.checkpoint,
        discriminator=arguments.discriminator,
        half=arguments.fp16,
        samples=not arguments.no_samples,
        delta=arguments.delta,
        device=options.prepare_device(arguments),
    )
    share.write(out, files)
    share.report(out, files, arguments.license)
