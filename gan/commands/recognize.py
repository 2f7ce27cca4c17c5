"""Recognize what images show with the features that a run's discriminator has learned without labels."""

from __future__ import annotations

import argparse
import csv
import sys
import warnings
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan.commands import add_command
from gan.commands.evaluate import DECODING, folder
from gan.commands.generate import checked_device, choose_model, chosen_model, in_run
from gan.commands.given import decoded, of, printable
from gan.commands.resumable import Findings
from gan.commands.translate import SOME_UNREADABLE
from gan.common.errors import UserError, at_least, reason, writing
from gan.common.files import write_atomically
from gan.common.names import one_line
from gan.common.progress import counting
from gan.run.run_folder import RECOGNITION

if TYPE_CHECKING:
    from torch import Tensor

    from gan.recognition.protocol import Contender, Score, Split

OWN = "discriminator"
FEW = 5  # images of a class in a test, below which that is said
SPLITS = ("file", "folder", "prefix", "content")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parts = parser.add_subparsers(dest="part", required=True, metavar="COMMAND")
    fit = add_command(parts, "fit", "learn to tell classes, and say how well beside what costs nothing")
    fit.add_argument("run", help="run folder or checkpoint file")
    fit.add_argument("data", nargs="?", help="folder or zip archive with a sub-folder a class (default: the run's own "
                     "images, where they have classes)")  # fmt: skip
    fit.add_argument("--labels", metavar="TABLE", help="CSV or JSON file of files and labels, in place of sub-folders")
    fit.add_argument("--split", choices=SPLITS, default="file", help="what belongs together and is never both learned "
                     "from and tested on (default: %(default)s)")  # fmt: skip
    fit.add_argument("--folds", type=int, default=5, help="tests, each on another part (default: %(default)s)")
    fit.add_argument("--components", type=int, default=256, help="that all features are reduced to "
                     "(default: %(default)s)")  # fmt: skip
    fit.add_argument("--classifier", choices=("logistic", "svm"), default="logistic", help="(default: %(default)s)")
    fit.add_argument("--alone", action="store_true", help="without the features that it should be better than")
    predict = add_command(parts, "predict", "say what images show; the exit code is 3 where some cannot be read")
    predict.add_argument("run", help="run folder or checkpoint file")
    predict.add_argument("images", type=Path, help="an image, or a folder or zip archive of them")
    score = add_command(parts, "score", "of a model with classes: learn from its images, test on real ones")
    score.add_argument("run", help="run folder or checkpoint file")
    score.add_argument("--images", type=int, default=1000, help="drawn, of all classes together (default: %(default)s)")
    for part in (fit, predict):
        part.add_argument("--out", type=Path, metavar="DIR", help=f"of the classifier (default: RUN/{RECOGNITION})")
    for part in (fit, predict, score):
        choose_model(part)
    fit.add_argument("--force", action="store_true", help="write over a classifier that exists")


def run(arguments: argparse.Namespace) -> int:
    if arguments.part == "fit":
        learn(arguments)
        return 0
    if arguments.part == "predict":
        return predict(arguments)
    compare_with_generated(arguments)
    return 0


def scikit_learn() -> None:
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise UserError("recognition needs scikit-learn: pip install -e '.[recognize]'") from None


def learn(arguments: argparse.Namespace) -> None:
    at_least("--folds", arguments.folds, 3)
    at_least("--components", arguments.components, 1)
    scikit_learn()

    from gan.evaluation.generator import digest_of
    from gan.inference.loading import load_discriminator
    from gan.latent.store import fingerprint
    from gan.recognition import classifier
    from gan.recognition.features import learns_features
    from gan.recognition.protocol import fewest, scattered, splits

    out = in_run(arguments.run, arguments.out, RECOGNITION)
    if (out / classifier.ABOUT).exists() and not arguments.force:
        raise UserError(f"{out}: holds a classifier already; --force writes over it")
    device = checked_device(arguments.device)
    network, untrained, config, checkpoint = load_discriminator(arguments.run, arguments.checkpoint)
    for each in (network, untrained):
        each.to(device)
    with redirect_stdout(sys.stderr):
        data = labeled(arguments, config, checkpoint)
    images, labels, groups = rows_of(data, arguments.split)
    parts = splits(labels, groups, arguments.folds)
    if arguments.split != "file" and (alone := scattered(labels, groups, arguments.folds)):
        print(f"split by file, since they lie in fewer than {arguments.folds} of --split {arguments.split}: "
              + ", ".join(data.classes[label] for label in alone))  # fmt: skip
    try:
        out.mkdir(parents=True, exist_ok=True)  # before the work, lest that be in vain
    except OSError as error:
        raise UserError(f"{out}: cannot be made ({reason(error)})") from error
    contenders = features(network, untrained, arguments.alone)
    known = [fingerprint(network), digest_of(images).hex(), digest_of(labels).hex(), str(data.classes)]
    findings = Findings(out, arguments, *known, *(digest_of(part.test).hex() for part in parts))
    with writing(out):
        scores = measured(contenders, images, labels, len(data.classes), parts, arguments, findings)
    print_scores(scores, data.classes, len(images))
    if (least := fewest(labels, parts)) < FEW:
        print(f"note: some class has only {least} of its images in some test; take what is said of it with care")
    if config["model"]["discriminator"].get("classes"):
        print("note: this discriminator was trained with classes; if these are the same, it has seen the answers")
    if not learns_features(network, images[:1]):
        print("note: this discriminator looks through a network that has seen ImageNet, and these are its features")
    saved(out, network, images, labels, data.classes, scores, arguments)
    findings.done()


def labeled(arguments: argparse.Namespace, config: dict[str, Any], checkpoint: Path) -> Any:
    """The DataModule of images with classes, all of them at hand."""
    from gan.inference import loading

    own = dict(config["data"])
    if own.get("fit") in ("random_crop", "patches"):
        own["fit"] = "crop"  # as images are predicted, whole
    if arguments.data is None:
        own |= {"split": None, "labels": arguments.labels or own.get("labels") or True}
        data = loading.data({"data": own}, checkpoint)
    else:
        options = {name: own[name] for name in DECODING if name in own}
        data = folder(arguments.data, labels=arguments.labels or True, **options)
    if len(data.classes) < 2:
        raise UserError("to learn to tell classes, images of at least two are needed")
    return data


def rows_of(data: Any, split: str) -> tuple[Tensor, Tensor, list[bytes]]:
    """Images uint8 (N, C, H, W), labels (N,), and of each image what it belongs to."""
    import torch

    from gan.data.split import group_keys

    pixels = data.pixels[data.rows]
    groups = list(group_keys(split, data.names, pixels))
    return torch.as_tensor(pixels).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(data.labels[data.rows]), groups


def features(network: Any, untrained: Any, alone: bool) -> dict[str, Contender]:
    """By the names that the table has."""
    from gan.metrics.extractors import features as extracted
    from gan.metrics.lite0 import Lite0Features
    from gan.recognition.features import Layers, Once, color_histogram, raw_pixels
    from gan.recognition.patches import Patches
    from gan.recognition.protocol import Contender

    own = {OWN: Contender(lambda images: Layers(network, images))}
    if alone:
        return own
    lite0 = Lite0Features().eval()
    seen = Once(lambda images: extracted(lite0, images))
    return own | {
        "the same, untrained": Contender(lambda images: Layers(untrained, images)),
        "pixels": Contender(lambda images: raw_pixels, scaled=False),
        "color histogram": Contender(lambda images: color_histogram, scaled=False),
        "k-means of patches": Contender(Patches),
        "lite0 (ImageNet)": Contender(lambda images: seen),
    }


def measured(
    contenders: dict[str, Contender],
    images: Tensor,
    labels: Tensor,
    classes: int,
    parts: list[Split],
    arguments: argparse.Namespace,
    findings: Findings,
) -> dict[str, Score]:
    from gan.recognition.protocol import Score, majority, measure

    def score(contender: Contender) -> dict[str, Any]:
        found = measure(contender, images, labels, classes, parts, arguments.classifier, arguments.components)
        return found.as_json()

    scores = {}
    with counting(f"telling {classes} classes in {len(images):,} images", len(contenders)) as advance:
        for name, contender in contenders.items():
            known = findings.take(name, partial(score, contender), partial(Score.fits, len(parts), classes))
            scores[name] = Score.of_json(known)
            advance(1)
    return scores | {"the most frequent class": majority(labels, classes, parts)}


def saved(
    out: Path,
    network: Any,
    images: Tensor,
    labels: Tensor,
    classes: list[str],
    scores: dict[str, Score],
    arguments: argparse.Namespace,
) -> None:
    """A classifier fitted to all images, with the middle one of the constants that were chosen, and the scores."""
    from gan.recognition import classifier, probe
    from gan.recognition.features import Layers

    layers = Layers(network, images)
    found = layers(images)
    reduction = probe.reduction(found, arguments.components)
    constant = sorted(scores[OWN].constants)[len(scores[OWN].constants) // 2]
    fitted = probe.fit(reduction(found), labels, len(classes), constant, arguments.classifier)
    about = {
        "constant": constant,
        "split": arguments.split,
        "images": len(images),
        "scores": {name: score.as_json() for name, score in scores.items()},
    }
    with writing(out):
        joined = classifier.joined(reduction, fitted)
        classifier.write(out, classifier.Classifier(layers, joined, classes, arguments.classifier), about)
        draw_confusion(scores[OWN].table, classes, out / "confusion.png")


def print_scores(scores: dict[str, Score], classes: list[str], images: int) -> None:
    import torch

    from gan.recognition.protocol import SHARES, mean_and_error

    shares = "".join(f"{f'{share:.0%}':>8}" for share in SHARES)
    print(f"{images:,} images of {len(classes)} classes; per cent, with the standard error over splits")
    print(f"{'features':24}{'accuracy':>14}{'balanced':>14}{'ahead by':>14}   of the labels:{shares}")
    for name, score in scores.items():
        ahead = [right - other for right, other in zip(scores[OWN].accuracy, score.accuracy, strict=True)]
        values = map(mean_and_error, (score.accuracy, score.balanced, ahead))
        own = "".join(f"{f'{100 * mean:.1f} +- {100 * error:.1f}':>14}" for mean, error in values)
        of_shares = "".join(f"{100 * value:8.1f}" for value in torch.tensor(score.few).mean(0).tolist())
        print(f"{name:24}{own}{'':17}{of_shares}")
    table = scores[OWN].table
    print(f"\n{'class':24}{'images':>8}{'found':>8}{'right':>8}   of {OWN}")
    for n, name in enumerate(classes):
        total, taken, right = int(table[n].sum()), int(table[:, n].sum()), int(table[n, n])
        cells = [f"{100 * right / of:8.1f}" if of else f"{'-':>8}" for of in (total, taken)]
        print(f"{one_line(name)[:23]:24}{total:8,}" + "".join(cells))


def draw_confusion(table: Tensor, classes: list[str], path: Path) -> None:
    """A picture of a table (classes, classes), rows in shares of what the images show."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    side = max(4.0, 0.4 * len(classes) + 2)
    figure, axes = pyplot.subplots(figsize=(side, side), layout="constrained")
    shares = table / table.sum(1, keepdim=True).clamp(min=1)
    axes.imshow(shares.numpy(), vmin=0, vmax=1, cmap="Blues")
    ticks = range(len(classes))
    names = [name[:20] for name in classes]
    axes.set_xticks(ticks, names, rotation=90, parse_math=False)
    axes.set_yticks(ticks, names, parse_math=False)
    axes.set_xlabel("taken for")
    axes.set_ylabel("shows")
    if len(classes) <= 20:
        for row, column in ((row, column) for row in ticks for column in ticks):
            share = float(shares[row, column])
            axes.text(
                column, row, f"{100 * share:.0f}", ha="center", va="center", color="white" if share > 0.5 else "black"
            )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")  # of scripts that the font has not
            write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=100))
    finally:
        pyplot.close(figure)


def predict(arguments: argparse.Namespace) -> int:
    from gan.inference.loading import load_discriminator
    from gan.recognition import classifier

    files = of(arguments.images)
    network, _, config, _ = load_discriminator(arguments.run, arguments.checkpoint)
    network.to(checked_device(arguments.device))
    found = classifier.read(in_run(arguments.run, arguments.out, RECOGNITION), network)
    with redirect_stdout(sys.stderr):
        images, broken = decoded(files, config["data"])
    text = StringIO()
    table = csv.writer(text)
    table.writerow(["file", "class", "probability" if found.kind == "logistic" else "score"])
    if images:
        import torch

        for name, row in zip(images, found(torch.stack(list(images.values()))), strict=True):
            table.writerow([name, printable(found.classes[int(row.argmax())]), f"{float(row.max()):.4f}"])
    print(text.getvalue(), end="")
    for line in broken:
        print(line, file=sys.stderr)
    return SOME_UNREADABLE if broken else 0


def compare_with_generated(arguments: argparse.Namespace) -> None:
    at_least("--images", arguments.images, 10)
    scikit_learn()

    import torch

    from gan.inference import loading
    from gan.inference.sampling import FAKES_SEED
    from gan.metrics.extractors import features as extracted
    from gan.metrics.lite0 import Lite0Features
    from gan.recognition.score import classification_accuracy
    from gan.run import run_folder

    model = chosen_model(arguments)
    if not model.classes:
        raise UserError(f"{arguments.run}: was trained without classes; data.labels=true trains with them")
    with redirect_stdout(sys.stderr):
        data = loading.data(model.config, run_folder.find(arguments.run, arguments.checkpoint))
    test = data.reals(len(data.validation_rows), held_out=True)
    if not len(test):
        raise UserError(f"{arguments.run}: has held no images out to test on; data.split does")
    lite0, classes = Lite0Features().eval(), len(model.classes)
    tested = extracted(lite0, test), data.real_labels(len(test), held_out=True)
    seeds = list(range(FAKES_SEED, FAKES_SEED + arguments.images))
    drawn = model.draw(seeds), model.latents_of(seeds)[1]
    real = data.reals(arguments.images), data.real_labels(arguments.images)
    print(f"{len(test)} images held out, {classes} classes, features of lite0; per cent right after learning from")
    for name, (images, labels) in ((f"{len(seeds)} generated images", drawn), (f"{len(real[0])} real images", real)):
        right = classification_accuracy(extracted(lite0, images), torch.as_tensor(labels), *tested, classes)
        print(f"{name:24}{100 * right:6.1f}")
