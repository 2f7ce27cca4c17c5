"""Reproduce an image that gan generate, edit, interpolate, translate or project wrote, and compare both.

The metadata of the image has its model, seed and options. The command finds the model by the digest of its weights.
The exit code is 0 if the pixels are equal, 1 if they differ, and 2 if the image cannot be made.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from gan.commands import options
from gan.common.errors import UserError, writing
from gan.common.files import write_atomically
from gan.run.address import locate

if TYPE_CHECKING:
    from gan.sharing.record import Record
    from gan.sharing.reproduce import Comparison

DIFFERENT = 1  # exit code


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=options.existing_path, metavar="FILE", help="image with metadata of retro-gan")
    parser.add_argument("--model", type=options.existing_run, metavar="RUN", help="run, folder of runs, or other "
                        "model (default: the run that contains FILE, runs/ in the current folder and in each "
                        "folder above FILE, and the models of gan zoo)")  # fmt: skip
    parser.add_argument("--sources", type=options.existing_path, nargs="+", default=[], metavar="PATH", help="files or "
                        "folders with the inputs of the image: the original of a translation, latents, directions, a "
                        "classifier")  # fmt: skip
    options.add_out(parser, "also save the new image, with the extension of FILE", required=False, metavar="FILE")
    options.add_device(parser)
    options.add_force(parser, "overwrite an existing file")


def run(arguments: argparse.Namespace) -> int:
    file, out = arguments.file, arguments.out
    if not file.is_file():
        raise UserError(f"{file}: is not a file; give one image")
    if out is not None and out.suffix.lower() != file.suffix.lower():
        raise UserError(f"--out {out}: give a file with the extension {file.suffix}")
    if not arguments.force:
        options.refuse_existing_file(out, "--out ")

    from gan.sharing.record import origin

    record = origin(file)
    if record is None:
        raise UserError(f"{file}: has no metadata of retro-gan, so what made it is unknown (it was written with "
                        "--no-metadata, its format holds none, or another program removed it)")  # fmt: skip

    from gan.sharing.find_model import find
    from gan.sharing.reproduce import Sources, compare, reproduce

    found = find(record, file, locate(arguments.model)) if "model" in record else None
    if arguments.model and found is None:
        raise UserError(f"--model {arguments.model}: {file} was made without a model; leave --model out")
    sources = Sources(found, file, arguments.sources, options.prepare_device(arguments))
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, f"made{file.suffix}")
        reproduce(record, file, sources, made)
        result = compare(file, made, record)
        if out is not None:
            with writing(out), open(made, "rb") as opened:
                write_atomically(out, lambda target: shutil.copyfileobj(opened, target))
    made_by = f"look {','.join(record['look'])}" if found is None else f"model {found.path}"
    print(f"{file}: {describe(result, record)} ({made_by})")
    return 0 if result.same_pixels else DIFFERENT


def describe(result: Comparison, record: Record) -> str:
    """Return the result of a comparison as text."""
    from gan.sharing.translations import software

    if result.same_bytes:
        return "reproduced, all bytes are equal"
    if result.same_pixels:
        return "reproduced, all pixels are equal, but not the bytes: another program or version has saved the file"
    how = "the size or the number of frames differs"
    if result.worst is not None:
        how = f"{100 * result.fraction:.3g}% of the pixels differ, by up to {result.worst} levels of 255"
    if result.changed:
        return f"different, because another program has changed the image since it was made: {how}"
    made = f"; it was made on {record['device']} with {record['software']}" if "device" in record else ""
    made = made or (f"; it was made with {record['software']}" if record["software"] != software() else "")
    return f"different: {how}{made}"
