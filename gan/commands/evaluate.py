"""Evaluate the images of a run or a folder: quality, diversity and memorization."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from gan.commands import options
from gan.config import paths
from gan.evaluation.registry import Row, meaning
from gan.metrics import pretrained
from gan.models.address import with_addresses
from gan.models.shared_model import path_in
from gan.runs import run_folder
from gan.utils.errors import at_least, writing
from gan.utils.output import print_aligned, print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="RUN_OR_FOLDER", type=options.existing_source,
                        help=f"{options.MODEL}; or a folder of images")  # fmt: skip
    parser.add_argument("--reference", metavar="FOLDER", help="real images: a folder, or those of any "
                        "run: RUN:train or RUN:val (default: the held-out images of the run, or its training images if "
                        "there are none)")  # fmt: skip
    parser.add_argument("--extractor", default="lite0", help="features: lite0, random_conv, inception, dinov2 "
                        "or your own module.Class; separate several by commas (default: %(default)s)")  # fmt: skip
    parser.add_argument("--images", type=int, default=5000, metavar="N", help="maximum number of generated "
                        "images, and of real images (default: %(default)s)")  # fmt: skip
    parser.add_argument("--memorization", type=int, default=10_000, metavar="N", help="maximum number of training "
                        "images to search for copies (default: %(default)s)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print a JSON object per number instead of the table")
    parser.add_argument("--weights", metavar="PATH", help="file or folder of an extractor's weights")
    parser.add_argument("--download", action="store_true", help="download missing weights")
    parser.add_argument("--config-dir", type=Path, action="append", default=[], metavar="DIR", help="folder with your "
                        "own configurations; the metrics in DIR/metric are computed, too")  # fmt: skip
    options.add_weights(parser)


def run(arguments: argparse.Namespace) -> None:
    at_least("--images", arguments.images, 2)
    at_least("--memorization", arguments.memorization, 1)
    paths.use(*arguments.config_dir)
    names = arguments.extractor.split(",")
    for name in names:  # fail before the slow part
        if name in pretrained.KNOWN:
            pretrained.find(name, arguments.weights, arguments.download)
    if arguments.reference and run_folder.run_of(arguments.reference)[0] is None:
        options.existing_path(arguments.reference)

    from gan.evaluation import tables, translations
    from gan.evaluation.sets import Request, collect
    from gan.images import convert
    from gan.metrics.extractors import bias_notes, extractor_class, features

    for name in names:
        extractor_class(name)
    request = Request(
        source=Path(arguments.source),
        reference=arguments.reference,
        images=arguments.images,
        memorization=arguments.memorization,
        checkpoint=arguments.checkpoint,
        device=options.prepare_device(arguments),
    )
    weights = arguments.weights, arguments.download
    with redirect_stdout(sys.stderr):  # keep standard output for the table or JSON
        subject = collect(request)
        copies, pairs = tables.search_copies(subject.sets) if len(subject.sets.train) else (None, None)
        results = [tables.evaluate(subject.sets, name, copies, request.device, *weights) for name in names]
        if subject.translations:
            extractor = results[0].extractor
            rows = translations.evaluate(subject.translations, lambda images: features(extractor, images))
            results.append(tables.Table(extractor, rows))
    lines = [line for result in results for line in tables.records(result.rows, result.extractor, subject.protocol)]
    if arguments.json:
        print("\n".join(map(json.dumps, lines)))
    else:
        print_line(with_addresses(subject.title))
        for result in results:
            print_table(result.extractor, result.rows)
            notes = tables.warnings(result.rows[0], result.extractor.dimension)
            for line in notes + bias_notes(result.extractor, subject.config):
                print(f"note: {line}")
    if subject.folder:  # last, because its disk may be full or read-only
        if pairs is not None:
            name = f"copies-{subject.protocol['images_seen']:09d}.png"
            path = path_in(subject.folder, subject.folder / run_folder.SAMPLES / name)
            with writing(path):
                convert.save_png(convert.grid(pairs, columns=8), path)
            with redirect_stdout(sys.stderr):
                print_line(f"generated images nearest to training images, each beside its training image: {path}")
        path = subject.folder / run_folder.EVALUATION
        with writing(path), open(path, "a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


def print_table(extractor: Any, rows: list[Row]) -> None:
    print(f"\n{extractor.name} ({extractor.resize or 'its own resize'})")
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    columns = [meaning(name) for name in names]
    headings = ["", "images", "real", *(column.title for column in columns)]
    table = [
        [row.name, str(row.images), str(row.real)]
        + [f"{row.values[name]:.{column.digits}f}" if name in row.values else "-"
           for name, column in zip(names, columns, strict=True)]
        for row in rows
    ]  # fmt: skip
    print_aligned(headings, table, right=headings[1:])
