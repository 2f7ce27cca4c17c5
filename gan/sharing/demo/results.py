"""What tabs show after they have changed images: before and after, all results, and a download."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from gan.common.errors import UserError
from gan.common.output import one_line
from gan.common.processes import available_memory
from gan.data.sources.files import File
from gan.images import files as image_files
from gan.images.files import encode
from gan.inference.image_translator import ImageTranslator
from gan.inference.translate_files import Describe, format_of, max_pixels, translate_files
from gan.sharing.demo import limits
from gan.sharing.demo.context import Context, answer
from gan.sharing.demo.generate import zipped
from gan.sharing.demo.uploads import find_files, target_of

MAX_PREVIEW = 1024  # pixels of a side in the before/after slider
JPEG_NOTE = "JPEG changes cells and colors; upload PNG images for exact ones."
SHOWN = ("PNG", "JPEG", "WEBP")  # formats that every browser shows


class Made(NamedTuple):
    """What became of uploads.

    Attributes:
        found: the uploaded images.
        done: those that were changed, and the files of the results.
        failed: a line for each of the others.
    """

    found: list[File]
    done: list[tuple[File, Path]]
    failed: list[str]


class Results:
    """Adds the components to the page.

    Args:
        name: what the results are called.
        verb: what happens to an image.
        pixelated: whether results are enlarged without smoothing, to the size of the original.
    """

    def __init__(self, name: str = "Translations", verb: str = "translated", pixelated: bool = False) -> None:
        self.name, self.verb, self.pixelated = name, verb, pixelated
        classes = "pixels" if pixelated else None
        self.slider = gr.ImageSlider(label="Before and after", type="filepath", height=460, interactive=False,
                                     buttons=["fullscreen"], elem_classes=classes)  # fmt: skip
        self.gallery = gr.Gallery(label=name, columns=6, height=260, object_fit="contain", interactive=False,
                                  allow_preview=False, elem_classes=classes)  # fmt: skip
        self.said = gr.Markdown()
        self.pairs = gr.State([])
        self.gallery.select(select, self.pairs, self.slider, api_visibility="private")

    def outputs(self, download: Any) -> list[Any]:
        """Return the components that `show` fills."""
        return [self.slider, self.gallery, self.pairs, download, self.said]

    def show(self, context: Context, made: Made, note: str = "") -> Any:
        """Return the values of `outputs`, with a note; raise UserError if there is no result."""
        if not made.done:
            raise UserError(f"no image could be {self.verb}: {public(made.failed[0], made.found)}")
        files = {target.name: target.read_bytes() for _, target in made.done}
        shots = [self.shot(context, file, target, files[target.name]) for file, target in made.done]
        name, data = next(iter(files.items())) if len(files) == 1 else (f"{self.name.lower()}.zip", zipped(files))
        ready = gr.DownloadButton(f"Download {name}", value=context.keep(data, name), interactive=True)
        lines = [f"- {public(line, made.found)}" for line in made.failed[:20]]
        count = len(made.done) + len(made.failed)
        title = f"{len(made.failed)} of {count} files could not be {self.verb}:"
        note = "\n".join([*([title, *lines] if lines else []), *([note] if note else [])])
        named = [(after, target.name) for (_, after), (_, target) in zip(shots, made.done, strict=True)]
        return shots[0], named, shots, ready, note

    def shot(self, context: Context, file: File, target: Path, data: bytes) -> tuple[str, str]:
        """Return the paths of an image before and after the change."""
        before = preview(context, file)
        if self.pixelated:
            after = preview(context, str(target)).resize(before.size, Image.Resampling.NEAREST)
        elif format_of(target) in SHOWN:
            return context.keep(encode(before, "PNG", {}), "before.png"), context.keep(data, target.name)
        else:
            after = preview(context, str(target))
        return context.keep(encode(before, "PNG", {}), "before.png"), context.keep(
            encode(after, "PNG", {}), "after.png"
        )


@answer
def select(pairs: list[Any], event: gr.SelectData) -> Any:
    index = limits.whole("image", event.index, 0, max(0, len(pairs) - 1))
    return pairs[index] if pairs else None


def changed(
    context: Context,
    results: Results,
    paths: Any,
    change: Callable[[list[tuple[File, Path]], Any], list[str]],
    job: tuple[gr.Request, Any, str],
    suffix: str | None = None,
    exact: bool = False,
) -> Any:
    """Return the values of `results.outputs` for uploads.

    Args:
        paths: of the uploads.
        change: writes the result of each file to its path, calls its second argument with the number of files just
            done, and returns a line for each file that failed.
        job: the request, the progress and the title for `Context.job`.
        suffix: the extension of the results; None keeps those of the uploads.
        exact: whether the results have cells and colors that JPEG would change.
    """
    found = find_files(paths or [], context)
    with tempfile.TemporaryDirectory(dir=context.folder) as folder:
        taken: set[str] = set()
        todo = [(file, Path(folder, target_of(file, taken, suffix))) for file in found]
        request, progress, title = job
        with context.job(request, progress, len(todo), title) as advance:
            failed = change(todo, advance)
        done = [(file, target) for file, target in todo if target.exists()]
        lossy = exact and any(format_of(target) == "JPEG" for _, target in done)
        return results.show(context, Made(found, done, failed), JPEG_NOTE if lossy else "")


def translated(
    context: Context,
    results: Results,
    paths: Any,
    translator: ImageTranslator,
    describe: Describe | None,
    job: tuple[gr.Request, Any, str],
    suffix: str | None = None,
) -> Any:
    """Return the values of `results.outputs` for the translations of uploads. Arguments as in `changed`."""
    limit = limit_of(translator.function.bytes_per_pixel, translator.to_pixel_art is not None)

    def change(todo: list[tuple[File, Path]], advance: Any) -> list[str]:
        with context.isolated() as apart:
            given = suffix is not None, None, limit, True  # an extension selects the format
            return translate_files(todo, translator, *given, advance, apart, describe)[0]

    return changed(context, results, paths, change, job, suffix, exact=translator.to_pixel_art is not None)


def limit_of(bytes_per_pixel: int, pixel_art: bool) -> int:
    """Return the largest number of pixels of an image: that of uploads, or fewer if memory is short."""
    return min(limits.MAX_PIXELS, max_pixels(available_memory(), pixel_art, bytes_per_pixel))


def preview(context: Context, file: Any) -> Image.Image:
    """Return the first frame of an image file, with at most MAX_PREVIEW pixels a side."""
    if isinstance(file, str):
        pixels = context.apart(image_files.read_first, file, limits.MAX_PIXELS)
    else:
        pixels = context.apart(image_files.read_file, file, None, limits.MAX_PIXELS).images[0]
    image = Image.fromarray(pixels)
    image.thumbnail((MAX_PREVIEW, MAX_PREVIEW))
    return image


def public(line: str, found: Any) -> str:
    """Return a line about a file without the folder of the server in it."""
    for file in found:
        line = line.replace(file.shown, one_line(file.name)).replace(file.root, Path(file.root).name)
    return line.removesuffix("; set another limit with --max-pixels")
