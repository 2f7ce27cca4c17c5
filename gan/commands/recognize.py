"""Classify images with the features of a run's discriminator."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan.commands import options
from gan.commands.options import SOME_UNREADABLE, add_command
from gan.commands.resumable import Results
from gan.common import digest
from gan.common.errors import UserError, at_least, install, reason, writing
from gan.common.output import counting, one_line, print_aligned
from gan.run.run_folder import RECOGNITION

if TYPE_CHECKING:
    from torch import Tensor

    from gan.recognition.protocol import Baseline, Score, Split

MIN_TEST_IMAGES = 5  # print a note if a class has fewer test images
SPLITS = ("file", "folder", "prefix", "content")


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


def is_flat(path: str) -> bool:
    """Return whether a path is a folder without sub-folders."""
    return os.path.isdir(path) and not any(inside.is_dir() for inside in Path(path).iterdir())


def require_scikit_learn() -> None:
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise UserError(f"gan recognize needs scikit-learn: {install('recognize')}") from None


def fit(arguments: argparse.Namespace) -> None:
    at_least("--folds", arguments.folds, 3)
    at_least("--components", arguments.components, 1)
    if arguments.data and not arguments.labels and is_flat(arguments.data):
        raise UserError(f"{arguments.data}: has no sub-folders, which would be the classes; add --labels TABLE")
    require_scikit_learn()

    from gan.inference.loading import load_discriminator
    from gan.latent.vector_files import fingerprint
    from gan.recognition import classifier
    from gan.recognition.classifier import learns_features
    from gan.recognition.protocol import (
        baselines,
        images_and_groups,
        labeled_data,
        large_classes,
        list_classes,
        smallest_test_class,
        splits,
        ungroupable,
    )

    out = options.out_in_run(arguments.run, arguments.out, RECOGNITION)
    if (out / classifier.ABOUT).exists() and not arguments.force:
        raise UserError(f"{out}: contains a classifier already; use --force to overwrite")
    device = options.prepare_device(arguments)
    network, untrained, config, checkpoint = load_discriminator(arguments.run, arguments.checkpoint)
    for each in (network, untrained):
        each.to(device)
    with redirect_stdout(sys.stderr):
        data = labeled_data(config, checkpoint, arguments.data, arguments.labels)
    images, labels, groups = images_and_groups(data, arguments.split)
    rows, labels, classes, small = large_classes(labels, data.classes, arguments.folds)
    if small:
        images, groups = images[rows], [groups[row] for row in rows.tolist()]
        print(f"note: classes with fewer than {arguments.folds} images (--folds) are left out, with their images: "
              f"{list_classes(small)}")  # fmt: skip
    parts = splits(labels, groups, arguments.folds)
    if arguments.split != "file" and (alone := ungroupable(labels, groups, arguments.folds)):
        print(f"note: classes with fewer than {arguments.folds} groups of --split {arguments.split}, which are split "
              "by file instead: " + ", ".join(classes[label] for label in alone))  # fmt: skip
    try:
        out.mkdir(parents=True, exist_ok=True)  # fail before the slow part
    except OSError as error:
        raise UserError(f"{out}: cannot be created ({reason(error)})") from error
    compared = baselines(network, untrained, arguments.no_baselines)
    keys = [fingerprint(network), digest.of_tensor(images), digest.of_tensor(labels), str(classes)]
    results = Results(out, arguments, *keys, *(digest.of_tensor(part.test) for part in parts))
    with writing(out):
        scores = measure_all(compared, images, labels, len(classes), parts, arguments, results)
    print_scores(scores, classes, len(images))
    if (least := smallest_test_class(labels, parts)) < MIN_TEST_IMAGES:
        print(f"note: the results of a class are uncertain: a test set has only {least} images of the smallest class")
    if config["model"]["discriminator"].get("classes"):
        print("note: this discriminator was trained with class labels; its results are biased if the classes are the "
              "same")  # fmt: skip
    if not learns_features(network, images[:1]):
        print("note: the features of this discriminator come from a frozen network trained on ImageNet")
    save(out, network, images, labels, classes, scores, arguments)
    results.remove()


def measure_all(
    compared: dict[str, Baseline],
    images: Tensor,
    labels: Tensor,
    classes: int,
    parts: list[Split],
    arguments: argparse.Namespace,
    results: Results,
) -> dict[str, Score]:
    from gan.recognition.protocol import MAJORITY, Score, majority, measure

    def score(baseline: Baseline, advance: Callable[[int], None]) -> dict[str, Any]:
        probe = arguments.classifier, arguments.components
        return measure(baseline, images, labels, classes, parts, *probe, advance).as_json()

    scores = {}
    title = f"classifying {len(images):,} images of {classes} classes with {len(compared)} kinds of features, in splits"
    with counting(title, len(compared) * len(parts)) as advance:
        for name, baseline in compared.items():
            scores[name] = Score.from_json(results.get(name, partial(score, baseline, advance)))
    return scores | {MAJORITY: majority(labels, classes, parts)}


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
    from gan.recognition import classifier, probe
    from gan.recognition.classifier import LayerFeatures
    from gan.recognition.protocol import DISCRIMINATOR, plot_confusion

    layers = LayerFeatures(network, images)
    features = layers(images)
    reduction = probe.fit_reduction(features, arguments.components)
    own = scores[DISCRIMINATOR]
    C = sorted(own.C)[len(own.C) // 2]
    fitted = probe.fit(reduction(features), labels, len(classes), C, arguments.classifier)
    about = {
        "C": C,
        "split": arguments.split,
        "images": len(images),
        "scores": {name: score.as_json() for name, score in scores.items()},
    }
    with writing(out):
        composed = probe.compose(reduction, fitted)
        classifier.write(out, classifier.Classifier(layers, composed, classes, arguments.classifier), about)
        plot_confusion(own.confusion, classes, out / "confusion.png")


def print_scores(scores: dict[str, Score], classes: list[str], images: int) -> None:
    from gan.recognition.protocol import DISCRIMINATOR, mean_and_error

    own = scores[DISCRIMINATOR]
    print(f"{images:,} images of {len(classes)} classes; accuracy in percent, with the standard error over splits")
    print(f"lead: accuracy of {DISCRIMINATOR} minus that of the row")
    rows = []
    for name, score in scores.items():
        lead = [right - other for right, other in zip(own.accuracy, score.accuracy, strict=True)]
        values = map(mean_and_error, (score.accuracy, score.balanced, lead))
        rows.append([name, *(f"{100 * mean:.1f} +- {100 * error:.1f}" for mean, error in values)])
    headings = ["features", "accuracy", "balanced", "lead"]
    print_aligned(headings, rows, right=headings[1:])
    print(f"\nclasses, with the features of {DISCRIMINATOR}, in percent:")
    print(f"{'class':24}{'images':>8}{'recall':>8}{'precision':>11}")
    for n, name in enumerate(classes):
        total, predicted, right = (
            int(count) for count in (own.confusion[n].sum(), own.confusion[:, n].sum(), own.confusion[n, n])
        )
        recall, precision = (f"{100 * right / count:.1f}" if count else "-" for count in (total, predicted))
        print(f"{one_line(name)[:23]:24}{total:8,}{recall:>8}{precision:>11}")


def predict(arguments: argparse.Namespace) -> int:
    import torch

    from gan.inference.inputs import decode_images, find_images, printable
    from gan.inference.loading import load_discriminator
    from gan.recognition import classifier

    files = find_images(arguments.images)
    network, _, config, _ = load_discriminator(arguments.run, arguments.checkpoint)
    network.to(options.prepare_device(arguments))
    found = classifier.read(options.recognition_folder(arguments), network)
    with redirect_stdout(sys.stderr):
        images, broken = decode_images(files, config["data"])
    text = StringIO()
    table = csv.writer(text)
    table.writerow(["file", "class", "probability" if found.kind == "logistic" else "score"])
    if images:
        for name, row in zip(images, found(torch.stack(list(images.values()))), strict=True):
            table.writerow([name, printable(found.classes[int(row.argmax())]), f"{float(row.max()):.4f}"])
    print(text.getvalue(), end="")
    for line in broken:
        print(line, file=sys.stderr)
    return SOME_UNREADABLE if broken else 0
