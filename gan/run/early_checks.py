"""Check a configuration before torch is imported, so that a mistake costs less than a second and leaves no folder.

Values that depend on the machine are not computed here. Later checks are complete; these cover frequent mistakes.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gan.common import object_store
from gan.common.errors import UserError, at_least, did_you_mean, install, path_hint, switch
from gan.common.nested import flatten, with_home
from gan.common.option_values import check_cpu_devices, check_workers, pair
from gan.common.untrusted import MAX_OPTION
from gan.data.styles import is_table
from gan.networks.grid import base_grid
from gan.run import checkpoints, hub, remote_copies, run_folder, shared_folder, zoo

ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
PRECISIONS = ("bf16-mixed", "16-mixed", "32-true", "bf16", "16", "32")  # Lightning's, and its short names
TAKES_LATENTS = "model: this generator takes latents, not images to translate; use data=folder"
TAKES_IMAGES = "model: a translator needs data=unpaired, data=paired or data=retro_filter"
NEEDS_PAIRS = "pix2pix and penalty=reconstruction need pairs: use data=paired or data=retro_filter data.pairing=paired"
# Option -> smallest whole number.
MINIMA = {"data.batch_size": 1, "data.num_images": 1, "data.split_seed": 0}
MINIMA |= {"trainer.num_nodes": 1, "model.n_critic": 1, "model.log_interval": 1}
MINIMA |= {"callback.checkpoint.interval": 1, "callback.checkpoint.keep": 1, "callback.evaluate.num_images": 2}
MINIMA |= {"callback.evaluate.interval": 1, "callback.evaluate.first": 1, "callback.evaluate.max_real_images": 2}
MINIMA |= {"callback.health.interval": 1, "callback.health.first": 1, "callback.health.num_images": 2}
MINIMA |= {"callback.samples.interval": 1, "callback.samples.first": 1, "callback.samples.num_images": 1}
RATES = ("model.generator_optimizer.lr", "model.discriminator_optimizer.lr")
FOLDER, UNPAIRED = "gan.data.module.ImageDataModule", "gan.data.translation.UnpairedDataModule"
PAIRED, STYLED = "gan.data.translation.PairedDataModule", "gan.data.translation.StyledDataModule"
GAN = "gan.training.module.GAN"
PIX2PIX = "gan.training.translation.Pix2Pix"
TRANSLATORS = (PIX2PIX, "gan.training.translation.Translator", "gan.training.translation.CycleGAN")
STREAM = "gan.data.shards.stream.StreamingDataModule"
# Data module -> its name, the library it needs, our extra.
EXTRAS = {"gan.data.sources.huggingface.data_module": ("data=huggingface", "datasets", "hub")}
GRID = {f"gan.networks.{name}.Generator" for name in ("dcgan", "seed", "stylegan2", "resnet", "r3gan", "fastgan")}
FASTGAN, PATCH = "gan.networks.fastgan.Discriminator", "gan.networks.patch.Discriminator"
RESNET, UNET = "gan.networks.resnet_translator.Generator", "gan.networks.unet.Generator"
DECODER = ("channels", "fit", "resample", "background", "frames", "max_pixels")
SAME = ("model._target_", "model.generator._target_")  # options that must equal those of the init_from model
NETWORKS = ("model.generator.", "model.discriminator.")  # prefixes of the options of networks
# Options that need init_from -> the value that means "not set".
STARTS = {"freeze.generator": 0, "freeze.discriminator": 0, "model.kept_lr_factor": 1}


def check(values: Mapping[str, Any], resumed: bool = False) -> None:
    """Raise UserError if a value that does not depend on the machine is wrong, or a path does not exist.

    Args:
        values: `gan.run.config.literals` of the configuration.
        resumed: whether the run is resumed. Then only two things are checked: paths, because folders may have been
            moved, and numbers of processes, because the run may be someone else's.
    """
    check_processes(values)
    if not resumed:
        check_numbers(values)
        check_kind(values)
        check_missing(values)
        check_library(values)
        check_decoding(values)
        check_split(values)
        check_size(values)
        check_devices(values)
        check_init_from(values)
    try:
        check_paths(values)
    except UserError as error:
        moved = " (if you have moved it, add its new path and resume_force=true)" if resumed else ""
        raise UserError(f"{error}{moved}") from error


def check_numbers(values: Mapping[str, Any]) -> None:
    """Check the options of MINIMA, and learning rates."""
    for name, minimum in MINIMA.items():
        value = values.get(name)
        if value is not None and not (name.startswith("callback") and isinstance(value, str)):
            at_least(name, value, minimum)
    for name, value in values.items():
        if isinstance(value, int) and abs(value) >= 1 << 63:  # it could be trained with, but not read again
            raise UserError(f"{name}={value}: must have fewer than 64 bits")
        if name.startswith(NETWORKS) and isinstance(value, int | float) and abs(value) > MAX_OPTION:
            raise UserError(f"{name}={value}: is out of range: the largest number is {MAX_OPTION:,}")
    for name in RATES:
        value = values.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise UserError(f"{name}={value}: a learning rate must be a number of at least 0")


def check_processes(values: Mapping[str, Any]) -> None:
    """Check the number of processes that load data, and that of devices on the CPU."""
    if values.get("data.num_workers") is not None:
        check_workers(values["data.num_workers"])
    devices = str(values.get("trainer.devices"))
    if values.get("trainer.accelerator") == "cpu" and devices.isdecimal():
        check_cpu_devices(int(devices))


# ---- data


def check_kind(values: Mapping[str, Any]) -> None:
    """Raise UserError if the model does not train on this kind of data."""
    model, target = values.get("model._target_"), values.get("data._target_")
    pairs = target in (UNPAIRED, PAIRED, STYLED)
    if model == GAN and pairs:
        raise UserError(TAKES_LATENTS)
    if model in TRANSLATORS and target in (FOLDER, STREAM):
        folders = "data.a=FOLDER data.b=FOLDER" + " or data.root=FOLDER" * (model == PIX2PIX)
        raise UserError(f"{TAKES_IMAGES}; add {folders}")
    aligned = target == PAIRED or (target == STYLED and values.get("data.pairing") == "paired")
    if model == PIX2PIX and pairs and not aligned:
        raise UserError(NEEDS_PAIRS)


def check_missing(values: Mapping[str, Any]) -> None:
    """Raise UserError if an option of the data without a default is not set."""
    missing = [name for name, value in values.items() if value == "???" and name.startswith("data.")]
    if missing == ["data.a", "data.b"]:
        raise UserError("data.a and data.b are missing; add data.a=FOLDER data.b=FOLDER: input and target images")
    if missing:
        what = "FOLDER, a folder or zip archive" if missing[0] in ("data.root", "data.a", "data.b") else "VALUE"
        raise UserError(f"{missing[0]} is missing; add {missing[0]}={what}")
    a, b, root = (values.get(name) is not None for name in ("data.a", "data.b", "data.root"))
    if values.get("data._target_") == PAIRED and (a != b or a == root):
        raise UserError("data=paired: give data.a=FOLDER data.b=FOLDER, or data.root=FOLDER of side-by-side images")


def check_library(values: Mapping[str, Any]) -> None:
    """Raise UserError if the data source needs a library that is not installed."""
    name, library, extra = EXTRAS.get(str(values.get("data._target_")), ("", "", ""))
    root = str(values.get("data.root"))
    if values.get("data._target_") == STREAM and "://" in root:
        object_store.check_library(object_store.check_address(f"data.root={root}", root))
    if library and find_spec(library) is None:
        raise UserError(f"{name} needs the {library} library: {install(extra)}")


def check_decoding(values: Mapping[str, Any]) -> None:
    """Check the options of `Decoder`."""
    if values.get("data._target_") not in (FOLDER, UNPAIRED, PAIRED, STYLED):
        return
    from gan.data.decoding.decode import FITS, Decoder

    size = pair(values.get("data.size", 64))
    given = {name: values[f"data.{name}"] for name in DECODER if f"data.{name}" in values}
    fit = given.pop("fit", "crop")
    if fit not in (*FITS, "random_crop"):
        raise UserError(f"data.fit={fit} is not known: use one of {', '.join(FITS)}, random_crop")
    at_least("data.patches_per_image", values.get("data.patches_per_image", 1), 1)
    try:
        Decoder(size, **given)
    except UserError as error:
        name = str(error).partition("=")[0]
        raise UserError(f"data.{error}") if name in DECODER else error from error
    if "data.flip" in values:
        switch("data.flip", values["data.flip"])


def check_split(values: Mapping[str, Any]) -> None:
    """Check data.split and data.validation."""
    from gan.data import split

    grouping, fraction = values.get("data.split"), values.get("data.validation")
    if values.get("data._target_") == STREAM and fraction is not None:
        split.check_fraction(fraction)
    elif grouping is not None:
        split.check(grouping, 0.1 if fraction is None else fraction)


def check_paths(values: Mapping[str, Any]) -> None:
    """Check that folders of images exist and contain images, and that labels and color tables exist."""
    target = values.get("data._target_")
    if target == STREAM:
        check_shards(values.get("data.root"))
    if target not in (FOLDER, UNPAIRED, PAIRED, STYLED) or any(name.startswith("data.source") for name in values):
        return
    roots: list[str] = []
    for name in ("data.root", "data.a", "data.b"):
        value = values.get(name)
        for root in value if isinstance(value, list) else [] if value is None else [value]:
            check_images(name, with_home(str(root)))
            roots.append(with_home(str(root)))
    style = values.get("data.style")
    for word in map(str, style if isinstance(style, list) else [style]):
        if is_table(word) and not os.path.isfile(with_home(word)):
            raise UserError(f"data.style={word}: no such file{path_hint(word) or '; give a .cube file or a HaldCLUT'}")
    labels = values.get("data.labels", False)
    if labels is True and roots:
        check_class_folders(roots)
    elif isinstance(labels, str) and not os.path.isfile(with_home(labels)):
        raise UserError(
            f"data.labels={labels}: no such file; use true, false or a table of files and labels{path_hint(labels)}"
        )


def check_shards(root: Any) -> None:
    """Raise UserError if a folder has no shards."""
    if isinstance(root, str) and "://" not in root and not os.path.lexists(os.path.join(with_home(root), "index.json")):
        raise UserError(f"data.root={root}: no shards found; create them with gan data pack{path_hint(root)}")


def check_images(name: str, root: str) -> None:
    """Raise UserError if a folder or zip archive does not exist or contains no image. It stops at the first image."""
    from gan.data.sources import files as folder
    from gan.data.sources.files import is_image

    if run_folder.is_run(Path(root)):
        raise UserError(f"{name}={root}: is the folder of a run; give a folder of images")
    if not os.path.exists(root):
        raise UserError(f"{name}={root}: there is no such folder or zip archive{path_hint(root) or '; check the path'}")
    if os.path.isdir(root):
        folder.check_images(root)
    elif not root.lower().endswith(".zip"):
        raise UserError(f"{name}={root}: is a file; use the folder that contains it, or a zip archive")
    else:
        try:
            with zipfile.ZipFile(root) as archive:
                if not any(is_image(name) for name in archive.namelist()):
                    raise UserError(f"{name}={root}: no image in this zip archive")
        except (zipfile.BadZipFile, OSError) as error:
            raise UserError(f"{name}={root}: cannot be read as a zip archive ({error})") from error


def check_class_folders(roots: list[str]) -> None:
    """Raise UserError if folders have fewer than two sub-folders, for data.labels=true."""
    from gan.data.sources.files import check_number, is_hidden

    if not all(os.path.isdir(root) for root in roots):
        return
    check_number(
        {each.name for root in roots for each in os.scandir(root) if each.is_dir() and not is_hidden(each.name)}
    )


# ---- networks and devices


def check_size(values: Mapping[str, Any]) -> None:
    """Check that the networks of this program accept data.size."""
    if "data.size" not in values:
        return
    height, width = pair(values["data.size"])
    generator, discriminator = (network(values, part) for part in ("generator", "discriminator"))
    if generator["_target_"] in GRID:
        base_grid((height, width))
    if discriminator["_target_"] == FASTGAN and min(height, width) < 16:
        raise UserError(f"model=fastgan: data.size={height}x{width} is too small; use at least 16x16")
    depth = generator.get("depth")
    multiple = {RESNET: 4, UNET: 2**depth if isinstance(depth, int) and 0 < depth < 12 else 1}.get(
        generator["_target_"], 1
    )
    layers = discriminator.get("n_layers", 2)  # 2 or 3 by default
    smallest = 3 * 2**layers if discriminator["_target_"] == PATCH and isinstance(layers, int) and layers < 12 else 0
    check_sides((height, width), multiple, smallest)


def check_sides(size: tuple[int, int], multiple: int, smallest: int) -> None:
    """Raise UserError if a side is no multiple of `multiple`, or has fewer than `smallest` pixels."""
    if any(side % multiple for side in size):
        raise UserError(f"data.size={size[0]}x{size[1]}: both sides must be multiples of {multiple} for this generator")
    if min(size) < smallest:
        raise UserError(f"data.size={size[0]}x{size[1]}: this discriminator needs sides of at least {smallest} pixels")


def network(values: Mapping[str, Any], part: str) -> dict[str, Any]:
    """Return the options of a network, or of its direction a2b in a model of both directions."""
    prefix = f"model.{part}."
    own = {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
    inner = {name.removeprefix("a2b."): value for name, value in own.items() if name.startswith("a2b.")}
    return {"_target_": None} | (inner or own)


def check_devices(values: Mapping[str, Any]) -> None:
    """Check accelerator, precision and devices, and that the batch can be divided among devices."""
    accelerator, precision = values.get("trainer.accelerator", "auto"), str(values.get("trainer.precision", "32"))
    if accelerator not in ACCELERATORS:
        raise UserError(f"trainer.accelerator={accelerator}: {did_you_mean(str(accelerator), ACCELERATORS)}")
    if precision not in PRECISIONS:
        raise UserError(f"trainer.precision={precision}: use {', '.join(PRECISIONS[:3])}")
    devices, nodes, batch = (values.get(name) for name in ("trainer.devices", "trainer.num_nodes", "data.batch_size"))
    if devices is None or devices in ("auto", "-1", -1):
        return
    count = len(devices) if isinstance(devices, list) else devices
    count = int(count) if isinstance(count, str) and count.isdecimal() else count
    if isinstance(count, str) and all(part.strip().isdecimal() for part in count.split(",")):
        count = len(count.split(","))
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise UserError(f"trainer.devices={devices}: give a number of devices, a list such as [0,1], or auto")
    ranks = count * (nodes if isinstance(nodes, int) else 1)
    if isinstance(batch, int) and batch % ranks:
        raise UserError(f"data.batch_size={batch} is not divisible by {ranks} devices: use a multiple")


# ---- runs


def check_init_from(values: Mapping[str, Any]) -> None:
    """Raise UserError if init_from is no model, or if its model or generator has another class."""
    if values.get("resume"):
        return
    if values.get("init_from") == "":
        raise UserError("init_from=: is empty; is a variable of the shell not set?")
    if wrong := [name for name in values if name.partition(".")[0] == "freeze" and name not in STARTS]:
        raise UserError(f"{wrong[0]}: give freeze.generator or freeze.discriminator")
    if any(name.startswith("init_from.") for name in values):
        raise UserError("init_from: give one path, or zoo:NAME")
    if not values.get("init_from"):
        used = [name for name, unused in STARTS.items() if values.get(name, unused) not in (unused, [])]
        if used:
            raise UserError(f"{used[0]}={values[used[0]]}: has an effect only with init_from=RUN")
        return
    text = str(values["init_from"])
    stored = init_from_options(text)
    for name in SAME:
        before, now = stored.get(name), values.get(name)
        if before is not None and now is not None and before != now:
            remedy = "set model= to the recipe of that model"
            raise UserError(f"init_from={text}: its {name} is {before}, but that of this run is {now}; {remedy}")


def init_from_options(text: str) -> dict[str, Any]:
    """Return the options of the model of init_from; empty for a model on the Hub, which is downloaded later.

    Raises:
        UserError: there is no such model.
    """
    if text.startswith(hub.SCHEME):
        return {}
    if object_store.is_remote(text):
        return options_of(remote_copies.download(text), text)
    source = zoo.folder_of(text) if text.startswith(zoo.SCHEME) else Path(with_home(text))
    if not source.exists():
        hint = zoo.hint(text) or path_hint(source)
        raise UserError(f"init_from={text}: no such run folder, checkpoint or shared model{hint}")
    return options_of(source, text)


def options_of(source: Path, text: str) -> dict[str, Any]:
    """Return the options of a run or of a shared model that exists; empty for a checkpoint outside of a run.

    Raises:
        UserError: it is neither.
    """
    if shared_folder.is_shared(source):
        return flatten({"model": shared_folder.read_about(shared_folder.weights_of(source).parent)["model"]})
    run = source.parent.parent if source.is_file() else source
    if source.is_dir() and not checkpoints.list_checkpoints(run):
        if source.name == run_folder.CHECKPOINTS and checkpoints.list_checkpoints(source.parent):
            raise UserError(f"init_from={text}: give the run folder, {source.parent}, or a file of checkpoints")
        if hint := run_folder.hint_inside(source):
            raise UserError(f"init_from={text}: is not a run folder; {hint}")
        raise UserError(f"init_from={text}: no checkpoint in {source / run_folder.CHECKPOINTS}; is it a run folder?")
    return flatten(run_folder.read_config(run)) if (run / run_folder.CONFIG).is_file() else {}
