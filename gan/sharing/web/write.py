"""Write a folder with a page that runs a model in a browser. It needs a server for files, and no network."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from gan.common.errors import UserError, writing
from gan.common.files import write_atomically
from gan.inference.translator import Translator
from gan.model import Model
from gan.sharing.export.export import Exported, make, metadata
from gan.sharing.export.formats import open_onnx
from gan.sharing.web.describe import describe
from gan.sharing.web.parts import page_parts
from gan.sharing.web.runtime import members

MODEL = "model.json"


class Page(NamedTuple):
    """The files of models of a page, and the size of all its files in bytes."""

    models: list[Exported]
    size: int


def write_page(
    model: Model | Translator,
    out: Path,
    package: bytes,
    half: bool = False,
    title: str | None = None,
    directions: dict[str, Tensor] | None = None,
    gpu: bool = False,
    force: bool = False,
) -> Page:
    """Write a page into a folder. Nothing is written if its images differ from those of PyTorch.

    Args:
        model: what `gan.load` returns.
        package: what `gan.sharing.web.runtime.find` returns.
        half: store weights in fp16.
        title: of the page.
        directions: (latent_dim,) by name, for sliders of a generator; None for those of GANSpace.
        gpu: add the files for WebGPU, 27 MB.
        force: overwrite existing files.

    Raises:
        UserError: a network cannot be exported or differs from PyTorch, or a file exists already or cannot be
            written.
    """
    parts = page_parts(model)
    contents = {each.name: each.read_bytes() for each in files(__package__).joinpath("page").iterdir()}
    contents |= members(package, gpu)
    names = [*contents, *(f"{part.name}.onnx" for part in parts), MODEL]
    if not force and (existing := [out / name for name in names if (out / name).exists()]):
        raise UserError(f"{existing[0]}: exists already; use --force to overwrite")
    models = [make(part, "onnx", half, out / f"{part.name}.onnx", metadata(part, model)) for part in parts]
    functions = {each.part.name: open_onnx(each.data, each.part) for each in models}
    title = title or ("Translated photographs" if isinstance(model, Translator) else "Generated images")
    contents |= {each.path.name: each.data for each in models}
    contents[MODEL] = describe(model, parts, functions, half, title, gpu, directions)
    with writing(out):
        for name, data in contents.items():
            write_atomically(out / name, lambda file, data=data: file.write(data))  # type: ignore[misc]
    return Page(models, sum(map(len, contents.values())))
