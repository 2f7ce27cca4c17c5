"""Write a shared model with weights of NVIDIA's or rosinality's StyleGAN2, or of R3GAN, CycleGAN, pix2pix or CUT.

Nothing in the file runs as code. Commands that use a trained model, init_from and gan.load accept the result.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gan.commands import options
from gan.models.shared_model import refuse_existing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="file of the other program, such as "
                        "network-snapshot-025000.pkl, 550000.pt or latest_net_G.pth")  # fmt: skip
    options.add_card(parser, "license that the authors chose for the weights")
    parser.add_argument("--no-discriminator", action="store_true", help="leave out the discriminator; training from "
                        "this model and gan recognize use it")  # fmt: skip
    parser.add_argument("--no-samples", action="store_true", help="write no samples.png")
    options.add_device(parser)


def run(arguments: argparse.Namespace) -> None:
    refuse_existing(arguments.folder, arguments.force)

    from gan.export import share

    files = share.collect_published(
        arguments.file,
        name=arguments.folder.resolve().name or "model",
        license=arguments.license,
        trained_on=arguments.trained_on,
        discriminator=not arguments.no_discriminator,
        half=arguments.fp16,
        samples=not arguments.no_samples,
        device=options.prepare_device(arguments),
    )
    share.write(arguments.folder, files, arguments.license)
