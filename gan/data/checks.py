"""Report on a folder of images after decoding all of them, and suggest options for training."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from io import BytesIO
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gan.data.decoding.pool import CRASHED, parallel_map
from gan.data.decoding.reader import ImageError, composite, header, read_frames
from gan.data.pixel_grid import find_grid
from gan.data.sources.files import File, content
from gan.data.split import group_keys, select
from gan.networks.grid import base_grid
from gan.utils import digest
from gan.utils.errors import UserError, train_command
from gan.utils.option_values import quote

SIDES = (16, 32, 64)  # sides to suggest in pixels; 64 trains in minutes
SHAPES = ((1.0, 1.0), (1.5, 1.0), (1.0, 1.5), (1.0, 0.75), (0.75, 1.0), (2.0, 1.0), (1.0, 2.0))  # height, width
VALIDATION = 0.1  # default of data.validation
MIN_SPLIT = 500  # minimum number of images for suggesting a validation split
FEW = 200  # number of images below which experiment=few_shot is suggested
TOO_FEW = 50  # number of images below which a run mostly copies them
# Models from which a run on a CPU reaches a lower KID-Lite0 than from scratch (docs/benchmarks_details.md)
START, PIXEL_ART_START = "zoo:start64", "zoo:tiles32"
START_DOUBLINGS = 4  # of START, from its smallest grid to the image
MIN_CLASS = 10  # minimum number of images of a sub-folder that looks like a class
MAX_CLASSES = 200
MIN_GROUPS = 10  # minimum number of groups for suggesting a grouping of the validation split
BLANK_RANGE = 4  # maximum difference of two pixels of a blank image, of 255
MIN_ENLARGED = 0.1  # fraction of the searched images with a grid, below which grids may be chance
MAX_SEARCHED = 500  # images in which the grid of enlarged pixel art is searched, evenly spaced
BLOCK = 2048  # hashes to compare with the others of their bucket at a time
MAX_HASH_DISTANCE = 3  # maximum number of different bits, of 64, in the perceptual hashes of near-duplicates
THUMBNAIL = 16  # side in pixels
MIN_CORRELATION = 0.95  # of the thumbnails of near-duplicates; flat drawings have similar hashes by chance

# The options of data=folder, and those that experiment=pixel_art changes.
DEFAULTS = {"channels": 3, "fit": "crop", "resample": "auto", "split": None, "labels": False}
PIXEL_ART = DEFAULTS | {"size": [32, 32], "channels": 4}

Groups = list[list[int]]  # of indices of files that are alike


class FileInfo(NamedTuple):
    """Properties of one file. Sizes are those of the upright first frame."""

    error: str = ""
    format: str = ""
    height: int = 0
    width: int = 0
    frames: int = 0
    transparent: bool = False
    gray: bool = False
    sprite: bool = False
    digest: str = ""  # of the pixels
    hash: int = 0  # perceptual, 64 bits
    blank: bool = False  # one color
    thumbnail: bytes = b""  # RGB, THUMBNAIL pixels a side
    searched: bool = False  # for the grid of enlarged pixel art
    enlarged: str = ""  # how often, and the size before, such as "4x from 32x32"; empty without a grid


def inspect_file(file: File, searched: Collection[File] = ()) -> FileInfo:
    """Decode all frames of a file and return its properties; `searched` are the files whose grid is searched."""
    try:
        data = content(file)
        head = header(BytesIO(data))
        images = read_frames(BytesIO(data), "all")
        first = next(images)
        frames = 1 + sum(1 for _ in images)
    except ImageError as error:
        return FileInfo(error=str(error))
    opaque = composite(first, (255, 255, 255))  # ignore colors under transparent pixels
    red, green, blue = (np.asarray(band, np.int16) for band in opaque.split())
    grid = find_grid(np.asarray(first)) if file in searched else None
    cells = grid.size(first.height, first.width) if grid else (0, 0)
    return FileInfo(
        format=head.format,
        height=first.height,
        width=first.width,
        frames=frames,
        transparent=first.mode == "RGBA" and int(np.asarray(first)[..., 3].min()) < 255,
        gray=bool(np.abs(red - green).max() <= 2 and np.abs(green - blue).max() <= 2),
        sprite=max(first.size) <= 64 and opaque.getcolors(max(1, first.width * first.height // 2)) is not None,
        digest=digest.of_bytes(f"{first.size}".encode() + first.convert("RGBa").tobytes()),
        hash=perceptual_hash(opaque),
        blank=all(int(np.ptp(band)) <= BLANK_RANGE for band in (red, green, blue)),
        thumbnail=opaque.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX).tobytes(),
        searched=file in searched,
        enlarged=f"{grid.factor} from {cells[1]}x{cells[0]}" if grid else "",
    )


def perceptual_hash(image: Image.Image) -> int:
    """Return 64 bits: whether each of the lowest frequencies of an image is above their median, as in pHash.

    Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010.
    """
    gray = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.LANCZOS), float)
    low = dctn(gray)[:8, :8]
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes(), "big")


def inspect_files(files: Sequence[File], advance: Callable[[int], None]) -> list[FileInfo]:
    """Return `inspect_file` of all files, computed on all cores."""
    facts: list[FileInfo] = []
    places = np.linspace(0, len(files) - 1, min(MAX_SEARCHED, len(files))).astype(int)
    work = functools.partial(inspect_file, searched=frozenset(files[place] for place in places))
    for part in parallel_map(work, files, lambda file: FileInfo(error=CRASHED)):
        facts += part
        advance(len(part))
    return facts


def summarize(files: Sequence[File], facts: Sequence[FileInfo], size: tuple[int, int] | None) -> dict[str, Any]:
    """Return the report as JSON. `size` is the training size; None suggests one."""
    several = len({file.root for file in files}) > 1
    shown = [file.path if several else file.name for file in files]
    unreadable = {path: fact.error for path, fact in zip(shown, facts, strict=True) if fact.error}
    rows = zip(shown, files, facts, strict=True)
    readable = [(path, file, fact) for path, file, fact in rows if not fact.error]
    report: dict[str, Any] = {"files": len(files), "readable": len(readable), "unreadable": unreadable}
    if not readable:
        return report
    paths, _, known = zip(*readable, strict=True)
    names = [file.name for _, file, _ in readable]
    exact, near = duplicates(known)
    suggestion = suggest(names, known, exact, near, size)
    height, width = suggestion["size"]

    def where(condition: Callable[[FileInfo], bool]) -> list[str]:
        return [path for path, fact in zip(paths, known, strict=True) if condition(fact)]

    return report | {
        "formats": count_values(fact.format for fact in known),
        "sizes": count_values(f"{fact.width}x{fact.height}" for fact in known),
        "images": sum(fact.frames for fact in known),
        "animations": where(lambda fact: fact.frames > 1),
        "transparent": sum(fact.transparent for fact in known),
        "gray": sum(fact.gray for fact in known),
        "sprites": sum(fact.sprite for fact in known),
        "enlarged": {
            "searched": sum(fact.searched for fact in known),
            "images": sum(bool(fact.enlarged) for fact in known),
            "sizes": count_values(fact.enlarged for fact in known if fact.enlarged),
        },
        "classes": count_values(name.partition("/")[0] for name in names if "/" in name),
        "blank": where(lambda fact: fact.blank),
        "duplicates": {
            kind: [[paths[place] for place in group] for group in groups]
            for kind, groups in (("exact", exact), ("near", near))
        },
        "smaller": where(lambda fact: fact.height < height or fact.width < width),
        "suggestion": suggestion,
    }


def count_values(things: Any) -> dict[str, int]:
    return dict(sorted(Counter(things).items(), key=lambda pair: (-pair[1], pair[0])))


def duplicates(facts: Sequence[FileInfo]) -> tuple[Groups, Groups]:
    """Return groups of indices of files with equal pixels, and groups of similar files, with one of equal ones.

    Blank images are omitted. Similar files have similar hashes and correlated thumbnails.
    """
    equal = defaultdict(list)
    for place, fact in enumerate(facts):
        if not fact.blank:
            equal[fact.digest].append(place)
    first = [group[0] for group in equal.values()]
    hashes = np.array([facts[place].hash for place in first], np.uint64)
    thumbnails = np.frombuffer(b"".join(facts[place].thumbnail for place in first), np.uint8)
    groups = find_groups(hashes, thumbnails.reshape(len(first), -1), MAX_HASH_DISTANCE) if first else []
    near = [[first[member] for member in group] for group in groups]
    return [group for group in equal.values() if len(group) > 1], near


def find_groups(hashes: np.ndarray, thumbnails: np.ndarray, distance: int) -> Groups:
    """Return groups of indices of similar images: hashes, uint64 (N,), differ in at most `distance` bits, and
    thumbnails, uint8 (N, D), have a correlation of at least MIN_CORRELATION.

    Groups are transitive: each image is near at least one other of its group. Images without a near one are omitted.
    The bits are divided into `distance` + 1 bands. Near hashes agree in at least one band, so only such pairs are
    compared.
    """
    near: list[np.ndarray] = []
    edges = np.linspace(0, 64, distance + 2).astype(int)
    for low, high in pairwise(edges.tolist()):
        band = (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(band, kind="stable")
        for bucket in np.split(order, np.flatnonzero(np.diff(band[order])) + 1):
            if len(bucket) < 2:
                continue
            bits = np.unpackbits(hashes[bucket].view(np.uint8).reshape(-1, 8), axis=1).astype(np.float32)  # (n, 64)
            ones, centered = bits.sum(1), standardized(thumbnails[bucket])
            for first in range(0, len(bucket), BLOCK):
                part = slice(first, first + BLOCK)
                alike = ones[part, None] + ones - 2 * bits[part] @ bits.T <= distance
                alike &= centered[part] @ centered.T >= MIN_CORRELATION
                near.append(bucket[np.argwhere(alike) + np.array([first, 0])])
    rows, columns = np.concatenate([np.empty((0, 2), int), *near]).T
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(len(hashes), len(hashes)))
    groups = defaultdict(list)
    for index, group in enumerate(connected_components(graph, directed=False)[1].tolist()):
        groups[group].append(index)
    return [group for group in groups.values() if len(group) > 1]


def standardized(rows: np.ndarray) -> np.ndarray:
    """Return rows with mean 0 and norm 1, float32, whose products are correlations. Constant rows become 0."""
    centered = rows - rows.mean(1, keepdims=True, dtype=np.float32)
    return np.asarray(centered / np.maximum(np.linalg.norm(centered, axis=1, keepdims=True), 1e-6))


def suggest(
    names: Sequence[str], facts: Sequence[FileInfo], exact: Groups, near: Groups, size: tuple[int, int] | None
) -> dict[str, Any]:
    """Return suggested options for training, and the reason for each.

    Args:
        names: paths of the files from their root, with "/" as the separator.
        exact, near: groups of indices of files that are duplicates and near-duplicates.
        size: (height, width) of the training images; None suggests one.
    """
    heights, widths = np.array([fact.height for fact in facts]), np.array([fact.width for fact in facts])
    transparent, gray, sprites = (
        float(np.mean([getattr(fact, name) for fact in facts])) for name in ("transparent", "gray", "sprite")
    )
    medians = f"{np.median(widths):g}x{np.median(heights):g}"
    reasons = {"size": "as given" if size else f"half of the images are {medians} (width x height) or more"}
    size = size or suggest_size(heights, widths)
    aspect = heights / widths * size[1] / size[0]
    cut = 1 - np.minimum(aspect, 1 / aspect)  # the fraction of each image outside of the crop
    fit = "crop" if cut.mean() <= 0.25 and np.mean(cut > 0.4) < 0.2 else "pad"
    reasons["fit"] = f"a crop to {size[0]}x{size[1]} (height x width) cuts {cut.mean():.0%} of an image on average"
    if fit == "pad":
        reasons["fit"] += f", and up to {cut.max():.0%}; pad cuts nothing and adds borders"
    channels = 4 if transparent >= 0.05 else 1 if gray >= 0.99 else 3
    reasons["channels"] = f"{transparent:.0%} have transparent pixels, {gray:.0%} are gray"
    pixel_art = sprites >= 0.5
    whole = [size[0] % fact.height == 0 and size[1] % fact.width == 0 for fact in facts if fact.sprite]
    resample = "nearest" if pixel_art and np.mean(whole) < 0.5 else "auto"
    reasons["resample"] = f"{sprites:.0%} are pixel art" + ("" if resample == "auto" else ", mostly of other sizes")
    labels, reason = suggest_labels(names)
    split, reasons["split"] = suggest_split(names, exact, near, labels)
    if reason:
        reasons["labels"] = reason
    return {
        "size": list(size),
        "channels": channels,
        "fit": fit,
        "resample": resample,
        "split": split,
        "labels": labels,
        "pixel_art": pixel_art,
        "start": suggest_start(pixel_art, size, len(facts)),
        "images": len(facts),
        "reasons": reasons,
    }


def suggest_start(pixel_art: bool, size: tuple[int, int], images: int) -> str | None:
    """Return init_from; None to start from scratch, or if experiment=few_shot has a start."""
    if pixel_art:
        return PIXEL_ART_START if size == (32, 32) else None
    with suppress(UserError):  # no network has this size
        if images > FEW and abs(base_grid(size)[2] - START_DOUBLINGS) <= 1:  # most layers of START have the same scale
            return START
    return None


def suggest_split(names: Sequence[str], exact: Groups, near: Groups, labels: bool) -> tuple[str | None, str]:
    """Return data.split and the reason.

    It is the finest grouping that keeps nearly all images that are alike on one side and has enough groups: the prefix,
    or the folder unless folders are classes. If none does, equal pixels are kept on one side. None: too few images.
    """
    if len(names) < MIN_SPLIT:
        return None, f"a tenth of {len(names):,} is too few for validation"
    enough, alike = f"a tenth of {len(names):,} is enough for validation", [*exact, *near]
    if not alike:
        return "file", enough
    count = sum(map(len, alike))
    for grouping, kept in (("prefix", "files with the same prefix"), ("folder", "the files of a folder")):
        keys = list(group_keys(grouping, names, ()))
        together = sum(len(group) for group in alike if len({keys[place] for place in group}) == 1)
        if together < 0.8 * count or len(set(keys)) < MIN_GROUPS or (labels and grouping == "folder"):
            continue
        if select(grouping, names, (), VALIDATION).sum() >= VALIDATION * MIN_SPLIT:  # groups may differ in size
            return grouping, f"{enough}; {count:,} images are alike, and {kept} stay on one side"
    if exact:
        return "content", f"{enough}; images with equal pixels stay on one side, others that are alike may not"
    return "file", f"{enough}; {count:,} images are alike and may be on both sides; folder or prefix can group them"


def suggest_labels(names: Sequence[str]) -> tuple[bool, str]:
    """Return data.labels and the reason: whether sub-folders look like classes. The reason is empty without folders."""
    counts = Counter(name.partition("/")[0] for name in names if "/" in name)
    large = sum(count for count in counts.values() if count >= MIN_CLASS)
    if not (2 <= len(counts) <= MAX_CLASSES and large >= 0.9 * counts.total()):
        return False, f"{len(counts):,} sub-folders, too few or too small for classes" if counts else ""
    if stray := len(names) - counts.total():
        return False, f"{len(counts):,} sub-folders look like classes; for true, move the others ({stray:,}) into them"
    return True, f"{len(counts):,} sub-folders look like classes"


def suggest_size(heights: np.ndarray, widths: np.ndarray) -> tuple[int, int]:
    """Return (height, width) with the shape nearest to the median aspect ratio.

    The shape is a square if aspect ratios vary widely. At least half of the images are that large. The shorter side has
    at most 64 pixels.
    """
    logs = np.log(heights / widths)
    varied = np.percentile(logs, 90) - np.percentile(logs, 10) > np.log(1.6)
    shape = (1.0, 1.0) if varied else min(SHAPES, key=lambda s: abs(np.log(s[0] / s[1]) - np.median(logs)))
    available = min(float(np.median(heights)) / shape[0], float(np.median(widths)) / shape[1])
    side = max((side for side in SIDES if side <= available * 1.05), default=SIDES[0])
    return round(shape[0] * side), round(shape[1] * side)


def command(roots: Sequence[str], suggestion: dict[str, Any]) -> str:
    """Return the command line for training with the suggested options. Options with default values are omitted."""
    words = [f"data.root={roots[0] if len(roots) == 1 else '[' + ','.join(map(quote, roots)) + ']'}"]
    for name in ("size", *DEFAULTS):
        value = suggestion[name]
        if suggestion["pixel_art"] and name == "resample":
            continue  # the filter of the experiment keeps pixels sharp at any size
        if value != (PIXEL_ART if suggestion["pixel_art"] else DEFAULTS).get(name, ...):
            words.append(f"data.{name}={as_option(value)}")
    if suggestion["start"]:
        words.insert(0, f"init_from={suggestion['start']}")
        if suggestion["start"] == START and suggestion["channels"] == 3:  # the first layer has weights for RGB
            words.insert(1, "freeze.discriminator=2")
    if experiment := "pixel_art" if suggestion["pixel_art"] else "few_shot" if suggestion["images"] <= FEW else "":
        words.insert(0, f"experiment={experiment}")
    return train_command(*words)


def as_option(value: object) -> str:
    """Return a value as it is typed: true, false, a number, or one number for a square."""
    if isinstance(value, list):
        return str(value[0]) if value[0] == value[1] else f"[{value[0]},{value[1]}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
