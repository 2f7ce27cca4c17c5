"""What the first argument of gan translate names, or its option --fit: a function of images."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gan.commands import options
from gan.common.assignments import parse_assignments
from gan.common.errors import UserError
from gan.common.size import pair

if TYPE_CHECKING:
    import numpy as np

    from gan.inference.image_function import ImageFunction


MAPS = ("linear", "histogram", "transport", "flexible_transport")  # kinds of closed forms
POSITIONS = ("none", "radial", "frame")  # what they add to the map of colors


def add_fit(parser: argparse.ArgumentParser, instead: str) -> None:
    """Add --fit and its options. `instead` is the argument whose place it takes."""
    parser.add_argument("--fit", nargs=2, metavar=("PHOTOGRAPHS", "RETRO"), help=f"in place of {instead}: fit a color "
                        "map to two folders of different images, without training")  # fmt: skip
    parser.add_argument("--map", choices=MAPS, help="with --fit: kind of the color map (default: chosen on held-out "
                        "images)")  # fmt: skip
    parser.add_argument("--position", choices=POSITIONS, help="with --fit: also fit a vignette (radial) or what "
                        "runs along the edges (frame) (default: a vignette if most of RETRO have one)")  # fmt: skip


def check_fit(arguments: argparse.Namespace) -> None:
    """Raise UserError if a folder of --fit does not exist, or an option needs --fit."""
    for folder in arguments.fit or ():
        options.existing_path(folder)
    if not arguments.fit and (arguments.map or arguments.position):
        raise UserError(f"--{'map' if arguments.map else 'position'}: needs --fit PHOTOGRAPHS RETRO")


class Chosen(NamedTuple):
    """What TRANSLATOR names.

    Attributes:
        function: the function of images.
        made_by: the fields of a record that name it.
        trained: the side to which training images were scaled; None if they were not, or there were none.
        target_palette: computes a palette of a number of colors from target images; None if there are none.
    """

    function: ImageFunction
    made_by: dict[str, Any]
    trained: int | None = None
    target_palette: Callable[[int], np.ndarray] | None = None


def choose(arguments: argparse.Namespace) -> Chosen:
    """Return the function of images that the arguments name."""
    if arguments.fit:
        return fit_closed_form(arguments)
    return choose_look(arguments) if options.names_look(arguments.run) else choose_network(arguments)


def choose_look(arguments: argparse.Namespace) -> Chosen:
    """Return the look of TRANSLATOR with the parameters of --set."""
    from gan.data.styles.settings import EXAMPLE
    from gan.inference.look import parse_look

    refuse_for_runs(arguments, f"{arguments.run} is a look")
    look = parse_look(arguments.run, parse_assignments(arguments.settings, EXAMPLE))
    return Chosen(look, {"look": look.recorded, "seed": arguments.seed or None})


def refuse_for_runs(arguments: argparse.Namespace, instead: str) -> None:
    """Raise UserError if an option is given that needs a trained translator."""
    for name, default in arguments.for_runs.items():
        if getattr(arguments, name) != default:
            raise UserError(f"--{name.replace('_', '-')}: needs a trained translator; {instead}")


def refuse_for_looks(arguments: argparse.Namespace, instead: str) -> None:
    """Raise UserError if an option is given that needs a look."""
    if arguments.settings or arguments.seed is not None:
        given = "--set" if arguments.settings else "--seed"
        raise UserError(f"{given}: needs a look, such as look:film; {instead}")


def fit_closed_form(arguments: argparse.Namespace) -> Chosen:
    """Return the closed form of --fit, and print how near it comes to the target images."""
    refuse_for_runs(arguments, "--fit trains nothing")
    refuse_for_looks(arguments, "--fit has no parameters")

    from gan.inference.closed_form import ClosedFormFunction, choose_for_folders
    from gan.inference.target_palette import palette_of_folder

    photographs, retro = arguments.fit
    choice = choose_for_folders(photographs, retro, arguments.map, arguments.position)
    print(f"color map fitted: {choice.describe()}")
    function = ClosedFormFunction(choice.color_map)
    return Chosen(function, {"closed_form": function.recorded}, target_palette=partial(palette_of_folder, retro))


def choose_network(arguments: argparse.Namespace) -> Chosen:
    """Return the trained translator of TRANSLATOR, on the selected device."""
    refuse_for_looks(arguments, f"{arguments.run} is a trained translator")

    from gan.inference.loading import load_generator, select_direction
    from gan.inference.network_function import NetworkFunction
    from gan.inference.resolve import checkpoint_of
    from gan.inference.tiling import tile_for_memory
    from gan.sharing.provenance import fields_of

    def palette(colors: int) -> np.ndarray:
        from gan.inference.target_palette import target_palette  # imports scikit-image

        return target_palette(config, Path(arguments.run), arguments.direction, colors)

    path = checkpoint_of(arguments.run, arguments.checkpoint)
    network, state = load_generator(path, arguments.ema)
    network, config = select_direction(path, network, arguments.direction), state["config"]
    network.to(options.prepare_device(arguments))
    return Chosen(
        NetworkFunction(network, config["data"]["channels"], arguments.tile or tile_for_memory(network)),
        fields_of(network, int(state["images"])),
        None if config["data"].get("fit") == "patches" else max(pair(config["data"]["size"])),
        palette,
    )
