"""Read what visitors upload within limits, and show what becomes of it: before and after, all results, a download."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from gan.data.sources.files import SUFFIXES, Decoded, File, decode, find, single
from gan.demo import calls
from gan.demo.calls import PRIVATE, Context, answer, zipped
from gan.images import files as image_files
from gan.images.collection import decoder_of
from gan.images.files import encode
from gan.settings import Setting
from gan.translation.image_translator import ImageTranslator
from gan.translation.translate_files import Describe, format_of, max_pixels, translate_files
from gan.utils.errors import UserError
from gan.utils.files import file_name
from gan.utils.output import one_line
from gan.utils.processes import available_memory

MAX_PREVIEW = 1024  # pixels of a side in the before/after slider
JPEG_NOTE = "JPEG changes cells and colors; upload PNG images for exact ones."
SHOWN = ("PNG", "JPEG", "WEBP")  # formats that every browser shows

Todo = list[tuple[File, Path]]  # uploads, and the path of the result of each


def find_files(paths: Sequence[str] | None, context: Context) -> list[File]:
    """Return the image files of uploads and in zip archives; raise UserError if there are none, or too many."""
    files: list[File] = []
    for path in paths or []:
        name = one_line(os.path.basename(path))
        if path.lower().endswith(".zip"):
            try:
                files += [File(*each) for each in context.apart(find, [path])]
            except UserError as error:
                raise UserError(str(error).replace(path, name)) from error
        elif os.path.splitext(path)[1].lower() in SUFFIXES:
            files.append(single(Path(path)))
        else:
            raise UserError(f"{name}: is neither an image nor a zip archive; upload PNG, JPEG, WebP or a zip archive")
    if not files:
        raise UserError("no file: drop images or a zip archive first")
    if len(files) > calls.MAX_FILES:
        raise UserError(f"{len(files):,} images are too many; upload at most {calls.MAX_FILES} at a time")
    if (size := sum(file.stamp[0] for file in files)) > calls.MAX_UNPACKED:
        raise UserError(f"the images have {size:,} bytes unpacked; the limit is {calls.MAX_UNPACKED:,}; upload fewer")
    return files


def decode_one(file: File, data: dict[str, Any], context: Context) -> Decoded:
    """Return an uploaded image, decoded with the data options of a run; raise UserError if it cannot be read."""
    decoder = dataclasses.replace(decoder_of(data), max_pixels=calls.MAX_PIXELS)
    decoded: Decoded = context.apart(decode, decoder, file)
    if decoded.pixels is None:
        raise UserError(f"{one_line(file.name)}: {decoded.error}")
    return decoded


def small_image(file: File | str, side: int, context: Context) -> Image.Image:
    """Return the first frame of an image file, with at most `side` pixels a side."""
    file = single(Path(file)) if isinstance(file, str) else file
    image = Image.fromarray(context.apart(image_files.read_file, file, None, calls.MAX_PIXELS).images[0])
    image.thumbnail((side, side))
    return image


class Results:
    """Adds the components to the page, with a button to download all results."""

    def __init__(self, context: Context) -> None:
        self.context = context
        note = gr.Markdown()
        self.slider = gr.ImageSlider(label="Before and after", type="filepath", height=460, interactive=False,
                                     buttons=["fullscreen"])  # fmt: skip
        gallery = gr.Gallery(label="Translations", columns=6, height=260, object_fit="contain", interactive=False,
                             allow_preview=False)  # fmt: skip
        self.shown = gr.State(None)  # the paths of all images before and after, the index of one, and the strength
        self.outputs = [self.slider, gallery, self.shown, gr.DownloadButton("Download", interactive=False), note]
        gallery.select(select, self.shown, [self.slider, self.shown], **PRIVATE)

    def say(self, note: str) -> Any:
        """Return the values of `outputs` for a note instead of results."""
        return None, [], None, gr.DownloadButton("Download", interactive=False), note

    def change(self, paths: Any, translator: ImageTranslator, describe: Describe, job: tuple[gr.Request, Any]) -> Any:
        """Return the values of `outputs` for the translations of uploads. `job` is for `Context.job`."""
        exact = translator.to_pixel_art is not None  # cells and colors that JPEG would change
        limit = min(calls.MAX_PIXELS, max_pixels(available_memory(), exact, translator.function.bytes_per_pixel))
        files = find_files(paths, self.context)
        with tempfile.TemporaryDirectory(dir=self.context.folder) as folder:
            taken: set[str] = set()
            todo = [(file, Path(folder, target_of(file, taken))) for file in files]
            with self.context.job(*job, len(todo), "changing images") as advance, self.context.isolated() as process:
                failed = translate_files(todo, translator, False, limit, advance, process, describe)[0]
            lossy = exact and any(format_of(target) == "JPEG" for _, target in todo)
            return self.show(files, todo, failed, JPEG_NOTE if lossy else "", translator.strength)

    def show(self, files: list[File], todo: Todo, failed: list[str], note: str, strength: float) -> Any:
        """Return the values of `outputs`; raise UserError if there is no result."""

        def public(line: str) -> str:
            """Return a line about a file without the folder of the server in it."""
            for file in files:
                line = line.replace(file.shown, one_line(file.name)).replace(file.root, Path(file.root).name)
            return line.removesuffix("; set another limit with --max-pixels")

        done = [(file, target) for file, target in todo if target.exists()]
        if not done:
            raise UserError(f"no image could be changed: {public(failed[0])}")
        results = {target.name: target.read_bytes() for _, target in done}
        shots = [self.shot(file, target, results[target.name]) for file, target in done]
        name, data = next(iter(results.items()))
        if len(results) > 1:
            name, data = "translations.zip", zipped(results)
        ready = gr.DownloadButton(f"Download {name}", value=self.context.keep(data, name), interactive=True)
        lines = [f"{len(failed)} of {len(todo)} files could not be changed:"] if failed else []
        lines += [f"- {public(line)}" for line in failed[:20]]
        named = [(after, target.name) for (_, after), (_, target) in zip(shots, done, strict=True)]
        return shots[0], named, (shots, 0, strength), ready, "\n".join([*lines, note])

    def shot(self, file: File, target: Path, data: bytes) -> tuple[str, str]:
        before = small_image(file, MAX_PREVIEW, self.context)
        first = self.context.keep(encode(before, "PNG", {}), "before.png")
        if format_of(target) in SHOWN:
            return first, self.context.keep(data, target.name)
        after = small_image(str(target), MAX_PREVIEW, self.context)
        return first, self.context.keep(encode(after, "PNG", {}), "after.png")


@answer
def select(shown: Any, event: gr.SelectData) -> Any:
    pairs, _, strength = shown
    index = Setting("image", default=0, low=0, high=len(pairs) - 1, whole=True).check(event.index)
    return pairs[index], (pairs, index, strength)


def target_of(file: File, taken: set[str]) -> str:
    """Return a safe and new name for the result of a file, and add it to the names taken."""
    stem, extension = os.path.splitext(os.path.basename(file.name))
    stem, suffix = file_name(stem or "image"), extension.lower()
    name, count = stem + suffix, 1
    while name.lower() in taken:
        count += 1
        name = f"{stem}-{count}{suffix}"
    taken.add(name.lower())
    return name
