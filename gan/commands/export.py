"""Export a model to files for other programs: ONNX, torch.export, or weights alone.

Each file is compared with PyTorch before it is written: at most 1e-4 and one of 255 levels may differ.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from gan.commands import options
from gan.common.errors import UserError
from gan.common.table import aligned

FORMATS = ("onnx", "pt2", "safetensors")
FEATURES = "features"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    parser.add_argument("--to", required=True, choices=FORMATS, help="onnx: for ONNX Runtime and browsers; pt2: for "
                        "PyTorch, without this package; safetensors: weights alone")  # fmt: skip
    options.add_out(parser, "folder for the files; created if missing")
    parser.add_argument("--fp16", action="store_true", help="store weights in fp16, which halves the files; the "
                        "difference is printed, and may be at most 0.05 and six of 255 levels")  # fmt: skip
    options.add_size(parser, "of a translator: restrict images to this size, for runtimes without free sizes",
                     "height and width are free")  # fmt: skip
    parser.add_argument("--no-features", dest=FEATURES, action="store_false", help="do not export the discriminator's "
                        "features, which recognition needs")  # fmt: skip
    options.add_weights(parser)
    options.add_force(parser)


def run(arguments: argparse.Namespace) -> None:
    size = options.parse_size(arguments.size) if arguments.size else None
    refuse_unwritable(arguments.out)
    if arguments.to == "onnx":
        from gan.sharing.export import onnx_file

        onnx_file.check_installed()

    from gan import api
    from gan.sharing.export.export import export

    options.prepare_device(arguments)
    model = api.load(arguments.run, arguments.checkpoint, arguments.ema)
    discriminator = load_discriminator(arguments) if arguments.features and hasattr(model, "generator") else None
    files = export(model, arguments.to, arguments.out, arguments.fp16, size, discriminator, arguments.force)
    rows = [[str(file.path), f"{len(file.data):,}", str(file.difference)] for file in files]
    print("\n".join(aligned(["file", "bytes", "largest difference from PyTorch"], rows, right=["bytes"])))


def load_discriminator(arguments: argparse.Namespace) -> Any:
    """Return the discriminator of RUN; None, after a note, if it has none with features."""
    from gan.sharing.export.export import discriminator_of

    try:
        return discriminator_of(arguments.run, arguments.checkpoint)
    except UserError as error:
        print(f"note: no features are exported: {error}")
        return None


def refuse_unwritable(out: Path) -> None:
    """Raise UserError if files cannot be written in a folder, which may not exist yet."""
    existing = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        what = "may not be written" if existing.is_dir() else "is a file"
        raise UserError(f"--out {out}: cannot be created, because {existing} {what}; give another folder")
