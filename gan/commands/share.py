"""Write a folder with a trained model to share: weights, configuration, model card and samples.

The folder contains no paths, user names or code. Commands that use a trained model, and gan.load, accept it in
place of a run. --push uploads it to the Hugging Face Hub.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gan.commands import options
from gan.models import hub
from gan.models.shared_model import refuse_existing
from gan.utils.errors import UserError
from gan.utils.output import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    options.add_card(parser, "license of the model", nargs="?")
    options.add_relicense(parser)
    parser.add_argument("--discriminator", action="store_true", help="also share the discriminator, for gan recognize")
    parser.add_argument("--delta", metavar="BASE", help="store only the weights that differ from those of BASE, the "
                        "model from which the run started: zoo:NAME or hf://USER/NAME")  # fmt: skip
    parser.add_argument("--no-samples", action="store_true", help="write no samples.png; that of a translator shows "
                        "some of your photographs")  # fmt: skip
    parser.add_argument("--space", action="store_true", help="also write a Space of the Hugging Face Hub into the "
                        "folder, app.py and requirements.txt, which shows the page of gan demo")  # fmt: skip
    parser.add_argument("--push", type=hub.repository, metavar="USER/NAME", help="upload the files that it "
                        "writes to the Hugging Face Hub; a repository is created if there is none; DIR is then NAME by "
                        "default")  # fmt: skip
    parser.add_argument("--private", action="store_true", help="with --push: the repository is private")
    parser.add_argument("--dry-run", action="store_true", help="with --push: list the files, and upload nothing")
    options.add_weights(parser)


def run(arguments: argparse.Namespace) -> None:
    out, push = arguments.folder, arguments.push
    if not push and (out is None or arguments.private or arguments.dry_run):
        raise UserError("gan share: give DIR or --push USER/NAME; --private and --dry-run need --push")
    out = out or Path(push.rpartition("/")[2])
    if Path(arguments.run).resolve() == out.resolve():
        raise UserError(f"{out}: is the model itself; give another folder")
    refuse_existing(out, arguments.force)
    api = hub.log_in() if push and not arguments.dry_run else None

    from gan.demo import space
    from gan.export import share

    name = out.resolve().name or "model"
    files = share.collect(
        arguments.run,
        name=name,
        license=arguments.license,
        trained_on=arguments.trained_on,
        checkpoint=arguments.checkpoint,
        discriminator=arguments.discriminator,
        half=arguments.fp16,
        samples=not arguments.no_samples,
        delta=arguments.delta,
        relicense=arguments.relicense,
        device=options.prepare_device(arguments),
        address=f"{hub.HUB}{push}" if push and not arguments.space else "DIR",
    )
    files = space.with_page(files, name, out) if arguments.space else files
    share.write(out, files, arguments.license)
    if push:
        for path, size in hub.sizes_of(out, arguments.space).items():
            print_line(f"{size:>13,} bytes  {path}")
        uploaded = api and hub.upload(api, out, push, arguments.private, arguments.space)
        print_line(uploaded or "dry run: nothing was uploaded")
