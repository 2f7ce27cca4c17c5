"""Make an image again from the record in its file. Nothing in a record names a path, and no code runs.

What a record names only by a digest (the original of a translation, latents, directions, a classifier) is searched in
the run folder, in the folder of the image, and in paths that the user gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan.common.digest import of_bytes, of_file, of_tensor
from gan.common.errors import UserError
from gan.data.color_table.names import is_table
from gan.data.decoding.errors import ImageError
from gan.data.decoding.pool import IsolatedProcess
from gan.data.decoding.reader import MAX_PIXELS, header, read_frames
from gan.data.first_frame import decode
from gan.data.sources.files import File, content, find, single
from gan.data.sources.folder import SUFFIXES
from gan.data.styles import tables
from gan.images import animation
from gan.images.convert import grid, save_png
from gan.images.embedded_text import KEY, pixel_digest
from gan.images.files import check_frames
from gan.images.pixel_art import converter
from gan.inference import translate_files
from gan.inference.image_function import ImageFunction
from gan.inference.image_translator import ImageTranslator
from gan.inference.inputs import decoder_of
from gan.inference.look import Look
from gan.inference.network_function import NetworkFunction
from gan.latent import mixing, store
from gan.latent.position import POSITIONS
from gan.latent.space import Space
from gan.model import Model, from_checkpoint
from gan.recognition import classifier
from gan.run.run_folder import DIRECTIONS, DIRECTIONS_FILE, LATENTS_FILE, PROJECTED, RECOGNITION
from gan.sharing import provenance
from gan.sharing.find_model import Found
from gan.sharing.record import Record, expand
from gan.sharing.translations import Records, Translations

EXTENSIONS = {"JPEG": ".jpg", "TIFF": ".tif"}  # of formats whose extension is not their name
DESCRIBED = {"kind", "original", "tile", "saved_as"}  # what `gan.sharing.translations.Translations` adds
NOT_COPIED = {"model", "images", "pixels", "device"}  # of the image that is made here
MAX_TOTAL = 1 << 29  # pixels of an animation
NOT_FOUND = "not found; give its folder with --sources"


class Comparison(NamedTuple):
    """How an image and its reproduction differ.

    Attributes:
        same_bytes: the files are equal.
        same_pixels: size, frames and pixels are equal.
        changed: the pixels are not those that the record describes, so another program has changed them.
        worst: the largest difference in levels of 255; None if size or frames differ.
        fraction: fraction of the pixels that differ.
    """

    same_bytes: bool
    same_pixels: bool
    changed: bool
    worst: int | None = None
    fraction: float = 0.0


def reproduce(record: Record, image: Path, sources: Sources, out: Path) -> None:
    """Make the image of a record again and write it to `out`, which has the extension of `image`.

    Other files may be left in the folder of `out`.

    Raises:
        UserError: something that the record names is not there, or the model cannot make such an image.
        OSError: the file cannot be written.
    """
    if record["kind"] in ("translation", "comparison"):
        translate(record, image, sources, out)
        return
    if record["kind"] not in MAKERS:
        raise UserError(f"{image}: GIFs of gan project --gif cannot be reproduced; run the command again")
    found = sources.found
    model = from_checkpoint(found.path, found.network, found.state).to(sources.device)
    try:
        MAKERS[record["kind"]](record, image, sources, model, out)
    except KeyError as error:
        raise UserError(f"{image}: its metadata lacks {error.args[0]}") from error


def compare(image: Path, other: Path, record: Record) -> Comparison:
    """Compare an image with its reproduction; raise UserError if one cannot be read."""
    if image.read_bytes() == other.read_bytes():
        return Comparison(True, True, False)
    worst, fractions = 0, []
    try:
        check_frames(header(image), MAX_TOTAL)
        changed = "pixels" in record and digest_of(image) != record["pixels"]
        for a, b in zip_longest(read_frames(image, "all"), read_frames(other, "all")):  # two frames in memory
            if a is None or b is None or (a.mode, a.size) != (b.mode, b.size):
                return Comparison(False, False, changed)
            difference = np.abs(np.asarray(a, np.int16) - np.asarray(b))
            worst = max(worst, int(difference.max()))
            fractions.append(difference.any(2).mean())
    except (ImageError, OSError) as error:
        raise UserError(f"{image}: {error}") from error
    return Comparison(False, worst == 0, changed, worst, float(np.mean(fractions)))


def digest_of(path: Path) -> str:
    """Return the digest of the pixels of a file as they are stored. `gan.data.decoding.reader` has checked its size."""
    with Image.open(path) as opened:
        opened.load()
        return pixel_digest(opened)


# ---- images of a generator


def image_of(record: Record, image: Path, sources: Sources, model: Model, out: Path) -> None:
    pixels = synthesize(record, image, sources, model)[0]
    save_png(pixels, out, chunk(record, model, pixels))


def grid_of(record: Record, image: Path, sources: Sources, model: Model, out: Path) -> None:
    pixels = grid(synthesize(record, image, sources, model))
    save_png(pixels, out, chunk(record, model, pixels))


def interpolation_of(record: Record, image: Path, sources: Sources, model: Model, out: Path) -> None:
    seeds, digests = expand(record.get("seeds", [])), record.get("latents", [])
    scale, (_, height, width) = record.get("scale", 1), model.shape
    about = header(image)
    if (about.width, about.height) != (width * scale, height * scale):
        raise UserError(f"{image}: another program has changed its size")
    if max(len(seeds), len(digests)) * record["frames"] * height * width * scale**2 > MAX_TOTAL:
        raise UserError(f"{image}: its metadata describes an animation of more than {MAX_TOTAL:,} pixels")
    length = record["frames"], record.get("loop", False)
    if digests:
        frames = model.interpolate_latents(*sources.latents(digests, model), *length)
    else:
        space, truncation = record.get("space", ""), record.get("truncation", 1.0)
        frames = model.interpolate(seeds, *length, space, truncation, record.get("class"))
    text = origin_of(record, model.generator, model.images).text()
    animation.save(frames.pixels, out, record["fps"], scale, text)


def projection_of(record: Record, image: Path, sources: Sources, model: Model, out: Path) -> None:
    latents, labels = sources.latents([record["latent"]], model)
    pair = [sources.target(record["target"], model), Space(model.generator).render_uint8(latents, labels)[0]]
    pixels = grid(torch.stack(pair), 2)
    save_png(pixels, out, chunk(record, model, pixels))


MAKERS: dict[str, Callable[[Record, Path, Any, Model, Path], None]] = {
    "image": image_of,
    "grid": grid_of,
    "interpolation": interpolation_of,
    "projection": projection_of,
}


def synthesize(record: Record, image: Path, sources: Sources, model: Model) -> Tensor:
    """Return the images uint8 (N, C, H, W) of a record: generated, mixed and edited."""
    seeds = expand(record["seeds"]) if "seeds" in record else [record["seed"]] if "seed" in record else []
    digests = record.get("latents") or ([record["latent"]] if "latent" in record else [])
    check_size(record, image, model, len(seeds or digests))
    label, changed = record.get("class"), record.keys() & {"mix", "settings", "size"}
    if seeds and not changed:
        return model.generate(seeds, record.get("truncation", 1.0), label).pixels
    latents, labels = sources.latents(digests, model) if digests else model.latents(seeds, label)
    space = Space(model.generator)
    for each in record.get("mix", []):
        other = model.latents([each["seed"]], each.get("class")).latents[0]
        latents = mixing.mix(space, latents, other, float(each["fraction"]) if "fraction" in each else each["layers"])
    sources.add_changes(record, model)
    size, moved = record.get("size"), model.edit(latents, labels, **dict(record.get("settings", [])))
    return model.synthesize(moved, labels, size and (size[0], size[1])).pixels


def check_size(record: Record, image: Path, model: Model, count: int) -> None:
    """Raise UserError unless the record describes `count` > 0 images that have room in the file."""
    if not count:
        raise UserError(f"{image}: its metadata names neither a seed nor latents")
    height, width = record.get("size") or model.shape[1:]
    about = header(image)
    if count * height * width > about.width * about.height:
        raise UserError(f"{image}: has {about.width}x{about.height} pixels, but its metadata describes more; another "
                        "program has changed its size")  # fmt: skip


def origin_of(record: Record, network: Any, images: int) -> provenance.Origin:
    """Return the origin with the fields of a record, but of the model that is here."""
    fields = {name: value for name, value in record.items() if name not in NOT_COPIED}
    return provenance.Origin(network, images, **fields)


def chunk(record: Record, model: Model, pixels: Tensor) -> dict[str, str]:
    return {KEY: origin_of(record, model.generator, model.images).text(pixels)}


# ---- translations


def translate(record: Record, image: Path, sources: Sources, out: Path) -> None:
    """Write the translation of a record, or the sheet of it and its original."""
    function, made_by = function_of(record, image, sources)
    file = sources.original(record.get("original", ""))
    palette = np.frombuffer(bytes.fromhex(record.get("palette", "")), np.uint8).reshape(-1, 3)
    art = converter(record.get("cell", 1), palette if len(palette) else None, record.get("dither", "none"))
    fields = (
        float(record.get("strength", 1.0)),
        art,
        len(palette) > 0,
        record.get("seed", 0),
        record.get("steady", False),
    )
    translator = ImageTranslator(function, *fields)
    is_sheet = record["kind"] == "comparison"
    form = record.get("saved_as", "PNG") if is_sheet else header(image).format
    target = out.with_name(f"translation{EXTENSIONS.get(form, f'.{form.lower()}')}")
    sheets = out.parent / "sheets" if is_sheet else None
    shared = {name: value for name, value in record.items() if name not in DESCRIBED | NOT_COPIED}
    describe = Translations(Records(**(shared | made_by)))
    with IsolatedProcess() as apart:
        options = True, sheets, MAX_PIXELS, True, lambda done: None, apart, describe
        failed, _ = translate_files.translate_files([(file, target)], translator, *options)
    if failed:
        raise UserError(f"{image}: its original cannot be translated: {failed[0]}")
    (translate_files.sheet_path(file, sheets) if sheets else target).replace(out)


def function_of(record: Record, image: Path, sources: Sources) -> tuple[ImageFunction, dict[str, Any]]:
    """Return the function that made a translation, and the fields of a record that name it."""
    if "look" in record:
        return Look([sources.filter(word) for word in record["look"]]), {"look": record["look"]}
    if "closed_form" in record:
        raise UserError(f"{image}: its color map was fitted to two folders; rerun gan translate --fit with them")
    network, state = sources.found.network.to(sources.device), sources.found.state
    if hasattr(network, "latent_dim"):
        raise UserError(f"{image}: is a translation, but its model is not a translator")
    function = NetworkFunction(network, state["config"]["data"]["channels"], record.get("tile"))
    return function, provenance.fields_of(network, int(state["images"]))


# ---- what a record names by a digest


class Sources:
    """Finds what a record names by a digest: in the run, in the folder of the image, and in paths of the user.

    Args:
        found: the model; None if the record names none.
        image: the file with the record.
        given: files and folders.
        device: where the model makes the image.
    """

    def __init__(self, found: Found | None, image: Path, given: Sequence[Path], device: str) -> None:
        self.model_found = found
        self.image = image
        self.given = given
        self.device = device

    @property
    def found(self) -> Found:
        """The model; raise UserError if the record names none."""
        if self.model_found is None:
            raise UserError(f"{self.image}: its metadata names no model that makes such an image")
        return self.model_found

    def vectors(self, *defaults: Path) -> Iterator[Path]:
        """Yield the safetensors files in which to search; `defaults` are paths in the run folder."""
        yield from (path for name in defaults if (path := self.found.run / name).is_file())
        for folder in (self.image.parent, *self.given):
            yield from [folder] if folder.is_file() else sorted(folder.glob("*.safetensors"))

    def latents(self, digests: list[str], model: Model) -> tuple[Tensor, Tensor | None]:
        """Return latents (N, ...) and labels (N,), which are in one file of gan project."""
        for path in self.vectors(Path(PROJECTED, LATENTS_FILE)):
            with suppress(UserError):  # latents of another model, or directions
                _, latents, labels = store.stack_latents(path, model.generator)
                rows = {of_tensor(each): n for n, each in enumerate(latents)}
                if rows.keys() >= set(digests):
                    wanted = [rows[each] for each in digests]
                    return latents[wanted], None if labels is None else labels[wanted]
        raise UserError(f"{self.image}: was made from a file of projected latents that was {NOT_FOUND}")

    def add_changes(self, record: Record, model: Model) -> None:
        """Add the directions and the classes of a classifier that the settings of a record need to the model."""
        settings = dict(record.get("settings", []))
        for digest in [record["directions"]] if "directions" in record else []:
            model.vectors |= self.directions(digest, settings, model)
        for digest in [record["recognition"]] if "recognition" in record else []:
            model.attributes = self.classifier(digest).attributes() | model.attributes
        if unknown := [name for name in settings if name not in {*model.attributes, *POSITIONS, *model.vectors}]:
            raise UserError(f"{self.image}: was edited with {unknown[0]}, which this model does not have")

    def directions(self, digest: str, settings: dict[str, float], model: Model) -> dict[str, Tensor]:
        """Return the directions by name that a record names."""
        for path in self.vectors(Path(DIRECTIONS, DIRECTIONS_FILE)):
            with suppress(UserError):  # directions of another model, or latents
                found = store.read_directions(path, model.generator)
                if provenance.directions_digest(settings, found) == digest:
                    return found
        raise UserError(f"{self.image}: was edited with a file of directions that was {NOT_FOUND}")

    def classifier(self, digest: str) -> classifier.Classifier:
        """Return the classifier that a record names."""
        for folder in (self.found.run / RECOGNITION, *self.given):
            file = folder / classifier.WEIGHTS
            if file.is_file() and of_file(file) == digest:
                return classifier.load(self.found.path, folder=folder, device=self.device)
        raise UserError(f"{self.image}: was edited with a classifier that was {NOT_FOUND}")

    def images(self) -> list[File]:
        """Return the image files in which to search, those with the name of the image first."""
        files = [single(path) for path in sorted(self.image.parent.iterdir()) if path.suffix.lower() in SUFFIXES]
        for path in self.given:
            if path.is_file() and path.suffix.lower() != ".zip":
                files.append(single(path))
            else:
                with suppress(UserError):  # it has no images
                    files += find([str(path)])
        return sorted(files, key=lambda file: Path(file.name).stem != self.image.name.partition(".")[0])

    def original(self, digest: str) -> File:
        """Return the file with this digest of its bytes."""
        for file in self.images():
            with suppress(ImageError):
                if of_bytes(content(file)) == digest:
                    return file
        raise UserError(f"{self.image}: is a translation of an image that was {NOT_FOUND}")

    def filter(self, word: str) -> str:
        """Return a filter of a look. The digest of a color table is replaced by the path of the file."""
        if not word.startswith(tables.RECORDED):
            return word
        for folder in (self.image.parent, *self.given):
            for path in [folder] if folder.is_file() else sorted(folder.iterdir()):
                if is_table(path.name) and path.is_file() and tables.recorded(str(path)) == word:
                    return str(path)
        raise UserError(f"{self.image}: was made with a color table that was {NOT_FOUND}")

    def target(self, digest: str, model: Model) -> Tensor:
        """Return the image uint8 (C, H, W) that was projected."""
        decoder = decoder_of(model.config["data"])
        for file in self.images():
            if (pixels := decode(decoder, file).pixels) is not None:
                image = torch.from_numpy(pixels)
                if of_tensor(image) == digest:
                    return image
        raise UserError(f"{self.image}: is a projection of an image that was {NOT_FOUND}")
