"""Classify images with the features of a run's discriminator."""

from __future__ import annotations

import argparse
import csv
import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from typing import TYPE_CHECKING

from gan.commands import options, outputs
from gan.commands.options import add_command
from gan.runs.run_folder import RECOGNITION
from gan.settings import GROUPINGS
from gan.utils.errors import UserError, at_least, install, writing
from gan.utils.files import without_formula
from gan.utils.output import counting, print_aligned

if TYPE_CHECKING:
    from gan.recognition.protocol import Accuracy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parts = parser.add_subparsers(dest="part", required=True, metavar="COMMAND")
    fit = add_command(parts, "fit", "fit a classifier and compare its accuracy with that of baselines")
    options.add_run(fit)
    fit.add_argument("data", nargs="?", metavar="FOLDER", help="folder or zip archive with a sub-folder per class "
                     "(default: the run's own images, if they have classes)")  # fmt: skip
    fit.add_argument("--labels", metavar="TABLE", help="CSV or JSON file of files and labels, instead of sub-folders")
    fit.add_argument("--split", choices=GROUPINGS, default="file", help="groups of images that are kept together in "
                     "the training or test images (default: %(default)s)")  # fmt: skip
    fit.add_argument("--folds", type=int, default=5, help="number of cross-validation folds (default: %(default)s)")
    fit.add_argument("--no-baselines", action="store_true", help="measure only the discriminator's features")
    predict = add_command(parts, "predict", "classify images; the exit code is 3 if some could not be read")
    options.add_run(predict)
    options.add_images(predict)
    options.add_out(fit, f"folder of the classifier (default: RUN/{RECOGNITION})", required=False)
    options.add_recognition(predict, f"folder written by gan recognize fit (default: RUN/{RECOGNITION})")
    for part in (fit, predict):
        options.add_weights(part)
    options.add_force(fit, "overwrite an existing classifier")


def run(arguments: argparse.Namespace) -> int:
    if arguments.part == "fit":
        fit(arguments)
        return 0
    return predict(arguments)


def fit(arguments: argparse.Namespace) -> None:
    at_least("--folds", arguments.folds, 3)
    if find_spec("sklearn") is None:
        raise UserError(f"gan recognize needs scikit-learn: {install('recognize')}")

    from gan.models.loading import load_discriminator
    from gan.recognition import classifier, protocol

    out, folds = outputs.out_in_run(arguments.run, arguments.out, RECOGNITION), arguments.folds
    if (out / classifier.ABOUT).exists() and not arguments.force:
        raise UserError(f"{out}: contains a classifier already; use --force to overwrite")
    device = options.prepare_device(arguments)
    network, untrained, config, checkpoint = load_discriminator(arguments.run, arguments.checkpoint)
    for each in (network, untrained):
        each.to(device)
    with redirect_stdout(sys.stderr):
        data = protocol.labeled_data(config, checkpoint, arguments.data, arguments.labels)
    images, labels, groups = protocol.images_and_groups(data, arguments.split)
    classes = data.classes
    protocol.refuse_small_classes(labels, groups, classes, folds)
    parts = protocol.splits(labels, groups, folds)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)  # fail before the slow part
    baselines = protocol.baselines(network, untrained, arguments.no_baselines)
    title = f"classifying {len(images):,} images of {len(classes)} classes with {len(baselines)} kinds of features"
    with counting(f"{title}, in splits", len(baselines) * len(parts)) as advance:
        scores = {
            name: protocol.measure(baseline, images, labels, len(classes), parts, advance=advance)
            for name, baseline in baselines.items()
        }
    scores[protocol.MAJORITY] = protocol.majority(labels, len(classes), parts)
    print_scores(scores, len(classes), len(images))
    network_config = config["model"]["discriminator"]
    if network_config.get("classes"):
        print("note: this discriminator was trained with class labels; its results are biased if the classes are the "
              "same")  # fmt: skip
    if network_config["_target_"].startswith("gan.networks.projected"):
        print("note: the features of this discriminator come from a frozen network trained on ImageNet")
    own = scores[protocol.DISCRIMINATOR]
    C = sorted(own.C)[len(own.C) // 2]  # the median of those selected in the splits
    fitted = classifier.of_images(network, images, labels, classes, C)
    about = {"C": C, "split": arguments.split, "images": len(images)}
    with writing(out):
        classifier.write(out, fitted, about | {"scores": {name: score.as_json() for name, score in scores.items()}})


def print_scores(scores: dict[str, Accuracy], classes: int, images: int) -> None:
    from gan.recognition.protocol import DISCRIMINATOR, mean_and_error

    own = scores[DISCRIMINATOR]
    print(f"{images:,} images of {classes} classes; accuracy in percent, with the standard error over splits")
    print(f"lead: accuracy of {DISCRIMINATOR} minus that of the row")
    rows = []
    for name, score in scores.items():
        lead = [right - other for right, other in zip(own.accuracy, score.accuracy, strict=True)]
        values = map(mean_and_error, (score.accuracy, score.balanced, lead))
        rows.append([name, *(f"{100 * mean:.1f} +- {100 * error:.1f}" for mean, error in values)])
    headings = ["features", "accuracy", "balanced", "lead"]
    print_aligned(headings, rows, right=headings[1:])


def predict(arguments: argparse.Namespace) -> int:
    import torch

    from gan.images.collection import decode_images, find_images, printable
    from gan.models.loading import load_discriminator
    from gan.recognition import classifier

    files = find_images(arguments.images)
    network, _, config, _ = load_discriminator(arguments.run, arguments.checkpoint)
    network.to(options.prepare_device(arguments))
    found = classifier.read_classifier(outputs.recognition_folder(arguments.run, arguments.recognition), network)
    with redirect_stdout(sys.stderr):
        images, broken = decode_images(files, config["data"])
    text = StringIO()
    table = csv.writer(text)
    table.writerow(["file", "class", "probability"])
    if images:
        for name, row in zip(images, found(torch.stack(list(images.values()))), strict=True):
            label = without_formula(printable(found.classes[int(row.argmax())]))
            table.writerow([without_formula(name), label, f"{float(row.max()):.4f}"])
    print(text.getvalue(), end="")
    return outputs.report_failed(broken, len(files), "read")
