"""GANs on folders of retro images.

    run = gan.train(data="folder", root="scans", minutes=5)   train; the same options as `gan train`
    model = gan.load("runs/first")                            load a trained run
    model.sample(16)                                          images, which a notebook shows; [0] is a Pillow image
    model.project("photo.jpg")                                the latents of an image, for model.edit
    gan.translate("runs/film", "photo.jpg")                   translate an image with a trained translator
    gan.show("runs/first")                                    newest images, scores and curves of a run
    gan.origin("images/3.png")                                which model, seed and options made an image

Errors that users can fix are `gan.UserError`. `help(gan.train)` and `help(gan.Model)` describe all arguments.
"""

from __future__ import annotations

TYPE_CHECKING = False  # defined here, because importing typing takes longer than the rest of this file
if TYPE_CHECKING:
    from gan.api import Run as Run
    from gan.api import load as load
    from gan.api import show as show
    from gan.api import train as train
    from gan.api import translate as translate
    from gan.images.collection import Images as Images
    from gan.model import Model as Model
    from gan.records.record import origin as origin
    from gan.translation.translator import Translator as Translator
    from gan.utils.errors import UserError as UserError

MODULES = {
    "gan.api": ("Run", "load", "show", "train", "translate"),
    "gan.records.record": ("origin",),
    "gan.images.collection": ("Images",),
    "gan.model": ("Model",),
    "gan.translation.translator": ("Translator",),
    "gan.utils.errors": ("UserError",),
}
__version__: str
__all__ = ["Images", "Model", "Run", "Translator", "UserError", "load", "origin", "show", "train", "translate"]


def __getattr__(name: str) -> object:
    """Import a name on first use: most of them import torch, which `gan --help` does not need."""
    import importlib

    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("retro-gan")
    for module, names in MODULES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'gan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
