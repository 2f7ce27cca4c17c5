"""DataModules for translators: batches {"a": uint8 (N, C, H, W), "b": ...} of input and target images."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from lightning import LightningDataModule
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import IterableDataset

from gan import kinds
from gan.data.module import DEVICE_SHARE, Batches, ImageDataModule, dataloader, position
from gan.data.order import SEED_OFFSET, EndlessBatches
from gan.data.pairs import MatchedFiles, ReducedFiles, SideBySideFiles, StyledFiles
from gan.looks import registry
from gan.utils.errors import UserError, choice
from gan.utils.option_values import with_home

FITTED_IMAGES = 500  # images of each side for fitting color maps, palettes and other closed forms
WHOLE_SIDE = 64  # side in pixels to which whole images are scaled, for fitting color maps


class PairBatches(IterableDataset[dict[str, Tensor]]):
    """Batches of "a", the first channels of the first stream, and "b", the last channels of the last stream.

    For pairs, there is only one stream, which is both the first and the last.
    """

    def __init__(self, streams: Sequence[IterableDataset[dict[str, Tensor]]], channels: int) -> None:
        self.streams = streams
        self.channels = channels

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for batches in zip(*self.streams, strict=True):
            yield {"a": batches[0]["image"][:, : self.channels], "b": batches[-1]["image"][:, -self.channels :]}


class PairedDataModule(ImageDataModule):
    """Pairs of images: files with the same names in two folders, or files with the two images side by side.

    `conf/data/paired.yaml` describes the options. Both images of a pair get the same crop and flip.
    """

    aligned = True  # a and b of a batch are pairs

    def __init__(
        self, a: str | None = None, b: str | None = None, root: str | Sequence[str] | None = None, **options: Any
    ) -> None:
        if (a is None) != (b is None) or (a is None) == (root is None):
            raise UserError("data=paired: give data.a=FOLDER data.b=FOLDER, or data.root=FOLDER of side-by-side images")
        super().__init__(root=root, **options)
        self.given = {"a": a, "b": b, "root": root, **options}
        if self.decoder.frames != "first":
            raise UserError(f"data.frames={self.decoder.frames} does not work with pairs: use data.frames=first")
        self.folders = with_home(a), with_home(b)

    def open_source(self) -> Any:
        if self.source is None:
            a, b = self.folders
            self.source = SideBySideFiles(self.roots or []) if a is None or b is None else MatchedFiles(a, b)
        return self.source

    def _batches(self, order: EndlessBatches) -> PairBatches:
        return PairBatches([super()._batches(order)], self.channels)

    def inputs(self, n: int, held_out: bool = False) -> Tensor:
        """Return n images to translate, uint8 (n, C, H, W), selected as in `ImageDataModule.reals`."""
        return self.pairs(n, held_out, "a")[:, : self.channels]

    def ground_truth(self, n: int, held_out: bool = False) -> Tensor | None:
        """Return the ground truth of `inputs`; None if there are no pairs."""
        return self.pairs(n, held_out, "a")[:, self.channels :]

    def predictable_ground_truth(self, n: int, held_out: bool = False) -> Tensor | None:
        """Return the ground truth without random parts such as film grain, to compare translations with."""
        return self.ground_truth(n, held_out)

    def reals(self, n: int, held_out: bool = False) -> Tensor:
        """Return n target images for distribution metrics, uint8 (n, C, H, W).

        They are always training images. Held-out images are the ground truth of the translated inputs and would bias
        the metrics downwards.
        """
        return self.pairs(0 if held_out else n, False, "b")[:, self.channels :]

    def files(self, n: int, held_out: bool = False, side: str = "b") -> Tensor:
        """Return the number of the file of each image of `reals`, (n,), or of `inputs` for side="a"."""
        return super().files(0 if held_out and side == "b" else n, held_out, side)

    def pairs(self, n: int, held_out: bool, side: str) -> Tensor:
        """Return n pairs, uint8 (n, 2C, H, W), whose image on `side` ("a" or "b") is used in training."""
        return self._read_rows(self._to_evaluate(n, held_out, side))


class ReducedDataModule(PairedDataModule):
    """Patches of images of full size, and the same patches reduced and enlarged again, for learning to enlarge images.

    `conf/data/reduced.yaml` describes the options.
    """

    def __init__(self, root: str | Sequence[str], factor: int, **options: Any) -> None:
        super().__init__(root=root, **options)
        self.given = {"root": root, "factor": factor, **options}
        self.factor = factor
        self.decoder = replace(self.decoder, size=self.size)  # no margin for crops, which would move the reduced grid
        if any(side % factor for side in self.size):
            raise UserError(f"data.size={self.size[0]}x{self.size[1]}: both sides must be multiples of {factor}")

    def open_source(self) -> Any:
        self.source = self.source or ReducedFiles(self.roots or [], self.factor)
        return self.source


class StyledDataModule(PairedDataModule):
    """Photographs and the same photographs in a known style, for evaluating translators with ground truth.

    `conf/data/retro_filter.yaml` describes the options. How training uses the pairs is `pairing`.
    """

    def __init__(
        self, root: str | Sequence[str], style: str | Sequence[str], pairing: str = "disjoint", **options: Any
    ) -> None:
        super().__init__(root=root, **options)
        self.given = {"root": root, "style": style, "pairing": pairing, **options}
        if pairing == "disjoint" and self.split is None:
            raise UserError("data.pairing=disjoint needs data.split: use file, prefix or folder")
        self.style = style
        self.pairing = choice("data.pairing", pairing, ("disjoint", "shared", "paired"))
        self.aligned = pairing == "paired"
        self.is_b = np.empty(0, bool)  # (rows,): training rows of side b, with pairing="disjoint"

    def open_source(self) -> Any:
        self.source = self.source or StyledFiles(self.roots or [], self.style)
        return self.source

    def setup(self, stage: str) -> None:
        super().setup(stage)
        for side in "ab":
            check_two(len(self.of_side(side)), f"data.pairing={self.pairing}: photographs for {side}")

    def predictable_ground_truth(self, n: int, held_out: bool = False) -> Tensor | None:
        return self.without_noise.ground_truth(n, held_out)

    @functools.cached_property
    def without_noise(self) -> StyledDataModule:
        """The same photographs in the style without its random filters."""
        predictable = registry.predictable(self.style)
        if predictable == registry.filter_names(self.style):
            return self
        data = StyledDataModule(**self.given | {"style": predictable})
        data.setup("fit")
        return data

    def _select_validation(self, names: list[str]) -> np.ndarray:
        held_out = super()._select_validation(names)
        self.is_b = self._select_fraction(names, (1 + self.validation) / 2)[~held_out]
        return held_out

    def _batches(self, order: EndlessBatches) -> PairBatches:
        if self.pairing == "paired":
            return super()._batches(order)
        a, b = self.of_side("a"), self.of_side("b")
        sides = (a, order), (b, order.with_length(len(b)))
        streams = [Batches(self.pixels, self.labels, *side, self.crop_flip) for side in sides]
        return PairBatches(streams, self.channels)

    def of_side(self, side: str) -> np.ndarray:
        return self.rows[self.is_b == (side == "b")] if self.pairing == "disjoint" else self.rows

    def __len__(self) -> int:
        return len(self.of_side("a"))


class UnpairedDataModule(LightningDataModule):
    """Two unrelated sets of images: inputs a and targets b. `conf/data/unpaired.yaml` describes the options."""

    aligned = False

    def __init__(self, a: str | Sequence[str], b: str | Sequence[str], seed: int = 0, **options: Any) -> None:
        super().__init__()
        self.given = {"a": a, "b": b, "seed": seed, **options}
        self.a = ImageDataModule(a, seed=seed, **options)
        self.b = ImageDataModule(b, seed=seed + SEED_OFFSET, **options)
        self.sides = self.a, self.b
        self.size, self.channels, self.batch_size = self.a.size, self.a.channels, self.a.batch_size
        self.shows_patches = self.a.shows_patches
        self.classes: list[str] = []

    def prepare_data(self) -> None:
        self.setup("fit")

    def setup(self, stage: str) -> None:
        for name, side in zip("ab", self.sides, strict=True):
            side.setup(stage)
            check_two(len(side), f"data.{name}={side.source.where}: training images")

    def train_dataloader(self) -> Iterable[dict[str, Tensor]]:
        if self.trainer is not None:
            for side in self.sides:
                side.to_device(self.trainer.strategy.root_device, DEVICE_SHARE / len(self.sides))
        streams = [side.stream(*position(self.trainer)) for side in self.sides]
        on_device = any(side.storage == "device" for side in self.sides)
        return dataloader(PairBatches(streams, self.channels), self.a.num_workers, on_device)

    def use_report_half(self) -> bool:
        """Make the held-out images those of the report, and return True, if both sides have any."""
        return all(len(side.report_rows) for side in self.sides) and all(side.use_report_half() for side in self.sides)

    def inputs(self, n: int, held_out: bool = False) -> Tensor:
        """Return n images to translate, uint8 (n, C, H, W), selected as in `ImageDataModule.reals`."""
        return self.a.reals(n, held_out)

    def ground_truth(self, n: int, held_out: bool = False) -> Tensor | None:
        """None: there are no pairs."""
        return None

    def reals(self, n: int, held_out: bool = False) -> Tensor:
        return self.b.reals(n, held_out)

    def files(self, n: int, held_out: bool = False, side: str = "b") -> Tensor:
        """Return the number of the file of each image of `reals`, (n,), or of `inputs` for side="a"."""
        return (self.a if side == "a" else self.b).files(n, held_out)

    def __len__(self) -> int:
        return len(self.a)

    def state_dict(self) -> dict[str, Any]:
        return {name: side.state_dict() for name, side in zip("ab", self.sides, strict=True)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        for name, side in zip("ab", self.sides, strict=True):
            side.load_state_dict(state_dict[name])


def check_two(images: int, what: str) -> None:
    """Raise UserError if a side has fewer than two images for training."""
    if images < 2:
        raise UserError(f"{what}: {images}, but at least two are needed; add files, or hold out fewer (data.split)")


def has_held_out(data: Any) -> bool:
    """Return whether a DataModule has held-out images for evaluation: for a translator, held-out inputs."""
    return len(data.inputs(2, True) if kinds.of_data(data) is kinds.TRANSLATOR else data.reals(2, held_out=True)) == 2


def images_for_color_maps(data: Any, n: int = FITTED_IMAGES) -> tuple[Tensor, Tensor]:
    """Return up to n training images of each side of a DataModule, uint8 (n, C, s, s), for fitting color maps.

    Those of the DataModules here are whole. A look is applied where it is in training: to photographs of full size with
    fit="patches", which are scaled after that. Others are those of training, scaled.
    """
    if hasattr(data, "given"):
        whole = type(data)(**data.given | {"size": WHOLE_SIDE, "fit": "stretch"})
        if isinstance(data, StyledDataModule) and data.shows_patches:
            whole.source = StyledFiles(data.roots or [], data.style, full_size=True)
        whole.setup("fit")
        return whole.inputs(n), whole.reals(n)
    size = (WHOLE_SIDE, WHOLE_SIDE)
    a, b = (interpolate(images, size, mode="bilinear", antialias=True) for images in (data.inputs(n), data.reals(n)))
    return a, b
