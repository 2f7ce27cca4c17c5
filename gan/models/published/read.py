"""Read a file with weights that another program wrote: find out which one, and call its reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gan.models.published import r3gan, stylegan2, translators
from gan.models.published.result import Published, Unsupported
from gan.models.published.tensors import load_file, of_module, state_dict
from gan.utils.errors import UserError, reason
from gan.utils.output import one_line
from gan.utils.pickles import Record

KINDS = "StyleGAN2, StyleGAN2-ADA, R3GAN, CycleGAN, pix2pix or CUT"


def read(path: Path) -> Published:
    """Return the weights in a file of NVIDIA's, rosinality's or R3GAN's code, or of CycleGAN, pix2pix or CUT.

    Raises:
        UserError: the file is missing, damaged, too large, or of another kind. Nothing in it runs.
    """
    try:
        return published(load_file(path))
    except Unsupported as error:
        raise UserError(f"{path}: is {error}; gan import reads {KINDS}") from error
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({reason(error)})") from error
    except Exception as error:  # a damaged or hostile file causes any kind of error
        raise UserError(f"{path}: is damaged, or no file of {KINDS} ({one_line(reason(error), 100)})") from error


def published(value: Any) -> Published:
    """Return the weights in the value of a file."""
    match value:
        case (Record("dnnlib.tflib.network.Network"), Record(), Record()):
            return stylegan2.from_tensorflow(value)
        case {"G_ema": Record() as generator}:
            names = of_module(generator)[0]
            if "synthesis.b4.const" in names:
                return stylegan2.from_modules(value)
            if "Model.AggregationLayer.Layer.weight" in names:
                return r3gan.from_modules(value)
            raise Unsupported("StyleGAN3" if "synthesis.input.weight" in names else "a pickle of another network")
        case {"g_ema": dict()}:
            return stylegan2.from_rosinality(value)
        case {"GAN": dict(), "version": _}:
            raise Unsupported("StyleGAN2 of lucidrains, whose architecture is another one")
        case dict():
            weights = state_dict(value)
            if f"{translators.START}.0.weight" in weights:
                return translators.from_unet(weights)
            if "model.1.weight" in weights:
                return translators.from_resnet(weights)
            raise Unsupported(f"a file of another program, with {one_line(', '.join(map(str, value))[:80])}")
    raise Unsupported(f"a file of another program, with a {value.kind if isinstance(value, Record) else type(value)}")
