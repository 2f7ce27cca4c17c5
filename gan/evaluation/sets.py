"""Collect the images of an evaluation: those of a generator, translator or folder, and real images for comparison."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gan import kinds
from gan.data.decoding.pool import IsolatedProcess
from gan.data.decoding.reader import ImageError
from gan.data.sources.files import find, first_image
from gan.data.translation import has_held_out
from gan.evaluation.translations import Translations, translate_all
from gan.metrics.copies import MIN_HELD_OUT
from gan.model import Model, from_checkpoint
from gan.models import loading
from gan.models.address import checkpoint_of, folder_of, is_model
from gan.models.sampling import FAKES_SEED
from gan.models.shared_model import GENERATOR, NO_IMAGES, TRANSLATOR, path_in
from gan.runs import checkpoints, run_folder
from gan.utils import digest
from gan.utils.errors import UserError
from gan.utils.output import counting, print_line

BATCH = 256  # images generated at a time


@dataclass(frozen=True)
class Request:
    """The settings of an evaluation; see `gan evaluate --help`."""

    source: Path  # run folder, checkpoint file or folder of images
    reference: str | None = None  # None: held-out images of the run, or its training images if there are none
    images: int = 5000
    memorization: int = 10_000
    checkpoint: str = "best"
    device: str = "cpu"


class Sets(NamedTuple):
    """The images of one evaluation, uint8 (N, C, H, W)."""

    generated: Tensor  # images to evaluate
    reference: Tensor  # real images to compare them with
    train: Tensor  # training images in which to search for the originals of copies; empty if they are unknown
    held_out: bool  # whether `reference` is from the same dataset as `train`, but was held out


class Subject(NamedTuple):
    """The images of an evaluation."""

    sets: Sets
    protocol: dict[str, Any]  # settings on which every number depends
    folder: Path | None  # the run folder
    translations: Translations | None  # the images of a translator; None for a generator or a folder
    config: dict[str, Any]  # configuration of the model; empty for a folder

    @property
    def title(self) -> str:
        generated, reference = len(self.sets.generated), len(self.sets.reference)
        protocol = self.protocol
        return f"{protocol['source']}: {generated:,} images against {reference:,} of {protocol['reference']}"


def collect(request: Request) -> Subject:
    """Return the images of an evaluation, and its protocol."""
    source = request.source
    folder = folder_of(source)
    if folder:
        path_in(folder, folder / run_folder.EVALUATION)
    network, translations = None, None
    state: dict[str, Any] = {"config": {}}
    if is_model(source):
        checkpoint = checkpoint_of(source, request.checkpoint)
        network, state = loading.load_generator(checkpoint)
    if network is None:
        sets, protocol = from_folder(request)
    elif kinds.of_network(network) is kinds.GENERATOR:
        sets, protocol = from_generator(request, checkpoint, from_checkpoint(checkpoint, network, state))
    else:
        network = loading.select_direction(checkpoint, network)
        sets, protocol, translations = from_translator(request, checkpoint, network, state)
    if min(len(sets.generated), len(sets.reference)) < 2:
        raise UserError(f"{source}: an evaluation needs at least two images and at least two reference images")
    trained = {} if network is None else {"checkpoint": checkpoint.name, "images_seen": int(state["images"])}
    protocol = {"source": str(source), **trained} | protocol
    protocol |= {
        "reference_sha256": digest_of_set(sets.reference),
        "size": list(sets.generated.shape[2:]),
        "channels": sets.generated.shape[1],
        "memorization_images": len(sets.train),
        "code": run_folder.git_revision(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    return Subject(sets, protocol, folder, translations, state["config"])


def digest_of_set(images: Tensor) -> str:
    """Return a digest of a set of images, independent of their order."""
    return hashlib.sha256(b"".join(sorted(bytes.fromhex(digest.of_tensor(image)) for image in images))).hexdigest()


def from_generator(request: Request, checkpoint: Path, model: Model) -> tuple[Sets, dict[str, Any]]:
    """Generate images and load real ones."""
    model.to(request.device)
    sets, reference, scored = real_images(request, checkpoint, model)
    seeds = list(range(FAKES_SEED, FAKES_SEED + request.images))
    with counting("generating", len(seeds)) as advance:
        generated = []
        for first in range(0, len(seeds), BATCH):
            generated.append(model.generate(seeds[first : first + BATCH]).pixels)
            advance(len(generated[-1]))
    return sets._replace(generated=torch.cat(generated)), {
        "generator": "EMA, BatchNorm statistics re-estimated",
        "seeds": [seeds[0], seeds[-1]],
        "reference": reference,
        "selected_on_these_images": scored and selected_on_these(request, checkpoint, "images and latents"),
    }


def real_images(request: Request, checkpoint: Path, model: Model) -> tuple[Sets, str, bool]:
    """Return the real images, the reference as text, and whether training computed scores on the reference images.

    The reference is a folder, or a part of a run: by default of the run that is evaluated.
    """
    evaluated, reference = request.source, request.reference
    run, part = run_folder.run_of(reference) if reference else (evaluated, "")
    if run is None:
        folder = checked_folder(str(reference))
        data = loading.load_folder(folder, model.config["data"])
        train = training_images(model, checkpoint, request.memorization)
        return real_sets(data, "train", request)._replace(train=train), folder, False
    data = data_of(run, model.config, checkpoint) if run == evaluated else data_of(run)
    part = part or default_part(data)
    sets = real_sets(data, part, request)
    shapes = [f"{c} x {h} x {w}" for c, h, w in (sets.reference.shape[1:], model.shape)]
    if shapes[0] != shapes[1]:
        raise UserError(f"--reference {reference}: has images of {shapes[0]}, and {evaluated} generates {shapes[1]}")
    if not reference and part == "val" and len(sets.reference) < MIN_HELD_OUT:
        print_line(f"note: there are only {len(sets.reference)} held-out images; scores during training are those "
                   f"of --reference {evaluated}:train")  # fmt: skip
    scored_part = "val" if len(data.reals(MIN_HELD_OUT, held_out=True)) == MIN_HELD_OUT else "train"
    scored = run == evaluated and part == scored_part and (part == "train" or not use_report_half(data))
    return sets, f"{run}:{part}", scored


def from_translator(
    request: Request, checkpoint: Path, network: Any, state: dict[str, Any]
) -> tuple[Sets, dict[str, Any], Translations]:
    """Translate images and load real ones of the target."""
    source, config = request.source, state["config"]
    if not loading.has_data(config):
        raise UserError(f"{source}: {NO_IMAGES[TRANSLATOR]}")
    if request.reference not in (None, f"{source}:val"):
        reason = "a translator is evaluated on the held-out images of its run"
        raise UserError(f"--reference {request.reference}: omit it; {reason}")
    data = loading.load_data(config, checkpoint)
    unseen = use_report_half(data)
    held_out = has_held_out(data)
    if not held_out:
        if request.reference:
            raise UserError(f"{source}: has no held-out images; train with data.split=file")
        print("note: no images were held out, so training images are translated; train with data.split=file")
    translations = translate_all(network.to(request.device), data, request.images)
    part = default_part(data)
    sets = real_sets(data, part, request)._replace(generated=translations.outputs)
    protocol = {
        "generator": "EMA",
        "reference": f"{source}:{part}",
        "inputs": "held out" if held_out else "trained on",
        "selected_on_these_images": not unseen and selected_on_these(request, checkpoint, "images"),
    }
    return sets, protocol, translations


def selected_on_these(request: Request, checkpoint: Path, what: str) -> bool:
    """Return whether training selected a checkpoint on images that are also those of the evaluation; print a note."""
    selected = request.source.is_dir() and checkpoint == checkpoints.best(request.source)
    if selected:
        print(f"note: the best checkpoint was selected on these {what}; use --checkpoint last for one that was not")
    return selected


def data_of(run: Path, config: dict[str, Any] | None = None, checkpoint: Path | None = None) -> Any:
    """Return the DataModule of a run; its held-out images are those that selected no checkpoint, if it has any.

    Configuration and checkpoint are by default those of its best checkpoint.
    """
    if config is None or checkpoint is None:
        checkpoint = checkpoint_of(run)
        config = loading.load_state(checkpoint)["config"]
    if not loading.has_data(config):
        raise UserError(f"{run}: {NO_IMAGES[GENERATOR]}")
    data = loading.load_data(config, checkpoint)
    use_report_half(data)
    return data


def use_report_half(data: Any) -> bool:
    """Evaluate a DataModule on the held-out images that selected no checkpoint, and return True, if it has any."""
    return data.use_report_half is not None and data.use_report_half()


def from_folder(request: Request) -> tuple[Sets, dict[str, Any]]:
    """Load the images of a folder and the real images."""
    source = request.source
    if request.reference is None:
        raise UserError(f"{source}: is not a run; give real images for comparison with --reference FOLDER or RUN:val")
    run, part = run_folder.run_of(request.reference)
    if run:
        options = loading.load_state(checkpoint_of(run))["config"]["data"]
        data = data_of(run)
    else:
        try:
            with IsolatedProcess() as apart:
                image = apart(first_image, find([str(source)])[0])
        except ImageError as error:
            raise UserError(f"{source}: its first image cannot be read ({error})") from error
        options = {"size": (image.height, image.width), "channels": len(image.mode)}
        data, part = loading.load_folder(checked_folder(request.reference), options), "train"
    generated = loading.load_folder(str(source), options).reals(request.images)
    sets = real_sets(data, part, request)._replace(generated=generated)
    return sets, {"reference": request.reference}


def checked_folder(reference: str) -> str:
    """Return a folder of real images; raise UserError if it is a run, whose images are generated."""
    if run_folder.is_run(Path(reference)):
        raise UserError(f"--reference {reference}: is a run; give {reference}:val or {reference}:train")
    return reference


def default_part(data: Any) -> str:
    return "val" if len(data.reals(2, held_out=True)) == 2 else "train"


def real_sets(data: Any, part: str, request: Request) -> Sets:
    """Return the real images of a DataModule. The images of `part` are the reference; `generated` is empty."""
    train, held_out = data.reals(request.memorization), data.reals(request.images, held_out=True)
    if part == "val" and not len(held_out):
        raise UserError("--reference RUN:val: the run has no held-out images; use RUN:train")
    reference = held_out if part == "val" else data.reals(request.images)
    return Sets(reference[:0], reference, train, part == "val")


def training_images(model: Model, checkpoint: Path, n: int) -> Tensor:
    """Return at most n training images of a run; print a note and return none if they cannot be loaded."""
    try:
        return loading.load_data(model.config, checkpoint).reals(n)
    except UserError as error:
        print_line(f"no search for copies: {error}")
        return torch.empty(0, 3, 1, 1, dtype=torch.uint8)
