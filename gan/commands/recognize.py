"""Classify images with the features of a run's discriminator."""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from functools import partial
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan.commands import options
from gan.commands.options import SOME_UNREADABLE, add_command
from gan.runs.run_folder import RECOGNITION
from gan.utils import digest
from gan.utils.errors import UserError, at_least, install, writing
from gan.utils.files import without_formula, write_atomically
from gan.utils.output import counting, print_aligned
from gan.utils.untrusted import read_json

if TYPE_CHECKING:
    from torch import Tensor

    from gan.recognition.protocol import Baseline, Score

MIN_TEST_IMAGES = 5  # print a note if a class has fewer test images
SPLITS = ("file", "folder", "prefix", "content")
MAX_RESULTS = 64_000_000  # bytes of a file of results


class Results:
    """Results by name in a JSON file, so that an interrupted command continues. Other `keys` have another file."""

    def __init__(self, folder: Path, *keys: str) -> None:
        key = hashlib.blake2b(json.dumps(keys).encode(), digest_size=8).hexdigest()
        self.path = folder / f".unfinished-{key}.json"
        self.values: dict[str, Any] = {}
        with suppress(OSError, ValueError, TypeError):  # missing, or damaged by a full disk
            self.values = dict(read_json(self.path, MAX_RESULTS))
            print(f"resuming with {len(self.values)} results of an interrupted command")

    def get(self, name: str, compute: Callable[[], Any]) -> Any:
        """Return a result. If it is missing, compute it and write it at once."""
        if name not in self.values:
            self.values[name] = compute()
            text = json.dumps(self.values).encode()
            write_atomically(self.path, lambda file: file.write(text))
        return self.values[name]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parts = parser.add_subparsers(dest="part", required=True, metavar="COMMAND")
    fit = add_command(parts, "fit", "fit a classifier and compare its accuracy with that of baselines")
    options.add_run(fit)
    fit.add_argument("data", nargs="?", metavar="FOLDER", help="folder or zip archive with a sub-folder per class "
                     "(default: the run's own images, if they have classes)")  # fmt: skip
    fit.add_argument("--labels", metavar="TABLE", help="CSV or JSON file of files and labels, instead of sub-folders")
    fit.add_argument("--split", choices=SPLITS, default="file", help="groups of images that are kept together in the "
                     "training or test images (default: %(default)s)")  # fmt: skip
    fit.add_argument("--folds", type=int, default=5, help="number of cross-validation folds (default: %(default)s)")
    fit.add_argument("--components", type=int, default=256, help="number of principal components of the features "
                     "(default: %(default)s)")  # fmt: skip
    fit.add_argument("--classifier", choices=("logistic", "svm"), default="logistic", help="logistic regression or "
                     "linear support vector machine (default: %(default)s)")  # fmt: skip
    fit.add_argument("--no-baselines", action="store_true", help="measure only the discriminator's features")
    predict = add_command(parts, "predict", "classify images; the exit code is 3 if some could not be read")
    options.add_run(predict)
    predict.add_argument(
        "images", type=options.existing_path, metavar="IMAGES", help="image, or folder or zip archive of images"
    )
    options.add_out(fit, f"folder of the classifier (default: RUN/{RECOGNITION})", required=False)
    options.add_recognition(predict, f"folder written by gan recognize fit (default: RUN/{RECOGNITION})")
    for part in (fit, predict):
        options.add_weights(part, ema=False)
    options.add_force(fit, "overwrite an existing classifier")


def run(arguments: argparse.Namespace) -> int:
    if arguments.part == "fit":
        fit(arguments)
        return 0
    return predict(arguments)


def fit(arguments: argparse.Namespace) -> None:
    at_least("--folds", arguments.folds, 3)
    at_least("--components", arguments.components, 1)
    if find_spec("sklearn") is None:
        raise UserError(f"gan recognize needs scikit-learn: {install('recognize')}")

    from gan.editing.vector_files import fingerprint
    from gan.models.loading import load_discriminator
    from gan.recognition import classifier, protocol

    out = options.out_in_run(arguments.run, arguments.out, RECOGNITION)
    if (out / classifier.ABOUT).exists() and not arguments.force:
        raise UserError(f"{out}: contains a classifier already; use --force to overwrite")
    device = options.prepare_device(arguments)
    network, untrained, config, checkpoint = load_discriminator(arguments.run, arguments.checkpoint)
    for each in (network, untrained):
        each.to(device)
    with redirect_stdout(sys.stderr):
        data = protocol.labeled_data(config, checkpoint, arguments.data, arguments.labels)
    images, labels, groups = protocol.images_and_groups(data, arguments.split)
    rows, labels, classes, small = protocol.large_classes(labels, data.classes, arguments.folds)
    if small:
        images, groups = images[rows], [groups[row] for row in rows.tolist()]
        print(f"note: classes with fewer than {arguments.folds} images (--folds) are left out, with their images: "
              f"{protocol.list_classes(small)}")  # fmt: skip
    parts = protocol.splits(labels, groups, arguments.folds)
    if arguments.split != "file" and (alone := protocol.ungroupable(labels, groups, arguments.folds)):
        print(f"note: classes with fewer than {arguments.folds} groups of --split {arguments.split}, which are split "
              "by file instead: " + ", ".join(classes[label] for label in alone))  # fmt: skip
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)  # fail before the slow part
    baselines = protocol.baselines(network, untrained, arguments.no_baselines)
    keys = [fingerprint(network), digest.of_tensor(images), digest.of_tensor(labels), str(classes)]
    keys += [*(digest.of_tensor(part.test) for part in parts), arguments.classifier, str(arguments.components)]
    results = Results(out, *keys)
    title = f"classifying {len(images):,} images of {len(classes)} classes with {len(baselines)} kinds of features"
    with writing(out), counting(f"{title}, in splits", len(baselines) * len(parts)) as advance:

        def score(baseline: Baseline) -> dict[str, Any]:
            probe = arguments.classifier, arguments.components
            return protocol.measure(baseline, images, labels, len(classes), parts, *probe, advance).as_json()

        measured = {name: results.get(name, partial(score, baseline)) for name, baseline in baselines.items()}
    scores = {name: protocol.Score.from_json(values) for name, values in measured.items()}
    scores |= {protocol.MAJORITY: protocol.majority(labels, len(classes), parts)}
    print_scores(scores, len(classes), len(images))
    if (least := protocol.smallest_test_class(labels, parts)) < MIN_TEST_IMAGES:
        print(f"note: the results of a class are uncertain: a test set has only {least} images of the smallest class")
    if config["model"]["discriminator"].get("classes"):
        print("note: this discriminator was trained with class labels; its results are biased if the classes are the "
              "same")  # fmt: skip
    if not classifier.learns_features(network, images[:1]):
        print("note: the features of this discriminator come from a frozen network trained on ImageNet")
    save(out, network, images, labels, classes, scores, arguments)
    results.path.unlink(missing_ok=True)


def save(
    out: Path,
    network: Any,
    images: Tensor,
    labels: Tensor,
    classes: list[str],
    scores: dict[str, Score],
    arguments: argparse.Namespace,
) -> None:
    """Save a classifier, the scores and a confusion matrix.

    The classifier is fitted to all images, with the median of the C selected in the splits.
    """
    from gan.recognition import classifier, protocol

    layers = classifier.LayerFeatures(network, images)
    values = layers(images)
    reduction = classifier.fit_reduction(values, arguments.components)
    own = scores[protocol.DISCRIMINATOR]
    C = sorted(own.C)[len(own.C) // 2]
    fitted = classifier.fit(reduction(values), labels, len(classes), C, arguments.classifier)
    about = {
        "C": C,
        "split": arguments.split,
        "images": len(images),
        "scores": {name: score.as_json() for name, score in scores.items()},
    }
    with writing(out):
        composed = classifier.compose(reduction, fitted)
        classifier.write(out, classifier.Classifier(layers, composed, classes, arguments.classifier), about)
        protocol.plot_confusion(own.confusion, classes, out / "confusion.png")


def print_scores(scores: dict[str, Score], classes: int, images: int) -> None:
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
    found = classifier.read(options.recognition_folder(arguments.run, arguments.recognition), network)
    with redirect_stdout(sys.stderr):
        images, broken = decode_images(files, config["data"])
    text = StringIO()
    table = csv.writer(text)
    table.writerow(["file", "class", "probability" if found.kind == "logistic" else "score"])
    if images:
        for name, row in zip(images, found(torch.stack(list(images.values()))), strict=True):
            label = without_formula(printable(found.classes[int(row.argmax())]))
            table.writerow([without_formula(name), label, f"{float(row.max()):.4f}"])
    print(text.getvalue(), end="")
    for line in broken:
        print(line, file=sys.stderr)
    return SOME_UNREADABLE if broken else 0
