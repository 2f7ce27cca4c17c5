"""List the trained models that come with the package. With a name, show the model card.

Give zoo:NAME in place of a run: gan generate zoo:NAME, gan.load("zoo:NAME").
"""

from __future__ import annotations

import argparse
import re

from gan.models import address, card, shared_model
from gan.utils.output import counted, one_line, print_aligned

COLUMNS = ("model", "kind", "pixels", "classes", "trained on", "license", "MB")
NUMBERS = ("classes", "MB")
ESCAPED = re.compile(r"\\([_*\[\]<>`#])")  # escapes of Markdown, which a terminal would show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="show the model card: the training images, license, "
                        "training and scores")  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    if arguments.name:
        folder = address.zoo_folder(arguments.name)
        about = shared_model.read_about(folder)
        text = card.with_address(card.read_card(folder)[1], about, f"zoo:{folder.name}")
        print(ESCAPED.sub(r"\1", text), end="")
        return
    rows = [cells(name) for name in address.zoo_names()]
    print_aligned(COLUMNS, rows, right=NUMBERS)
    print(f"{counted(len(rows), 'model')}; gan zoo NAME shows the model card")


def cells(name: str) -> list[str]:
    """Return the row of a model in the order of COLUMNS."""
    folder = address.zoo_folder(name)
    about = shared_model.read_about(folder)
    front, _ = card.read_card(folder)
    size = f"{(folder / shared_model.WEIGHTS).stat().st_size / 1e6:.1f}"
    pixels = "any" if about["kind"] == shared_model.TRANSLATOR else card.side_lengths(about)
    classes = len(about["classes"]) or ""
    texts = (f"zoo:{name}", about["kind"], pixels, classes, card.trained_on_of(front), front["license"], size)
    return [one_line(text) for text in texts]
