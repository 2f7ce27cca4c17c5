"""DataModules for translators: batches {"a": uint8 (N, C, H, W), "b": ...}, pictures to translate and the target's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import IterableDataset

from gan.common.errors import UserError
from gan.data import styles
from gan.data.decoding.pool import parallel_map
from gan.data.module import Batches, ImageDataModule, first, position, training_batches
from gan.data.pairs import MatchedFiles, PairDecoder, SideBySideFiles, StyledFiles
from gan.data.sampler import SEED_OFFSET, EndlessBatches
from gan.data.sources.files import mode

PAIRINGS = ("disjoint", "shared", "paired")
CHECKED_FILES = 16  # files a side, for their channels
GRAY, WITH_ALPHA = {"1", "L", "LA", "La", "I", "I;16", "F"}, {"RGBA", "RGBa", "LA", "La", "PA"}  # Pillow's modes


class PairBatches(IterableDataset[dict[str, Tensor]]):
    """The first channels of one stream as a and the last of another as b; of one stream both, where they are pairs."""

    def __init__(self, streams: Sequence[IterableDataset[dict[str, Tensor]]], channels: int) -> None:
        self.streams = streams
        self.channels = channels

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for batches in zip(*self.streams, strict=True):
            yield {"a": batches[0]["image"][:, : self.channels], "b": batches[-1]["image"][:, -self.channels :]}


class PairedDataModule(ImageDataModule):
    """Pairs: two folders with files of the same names, or one of files whose halves are a and b.

    Args:
        a, b: the folders, or
        root: the folder or folders of files of which the left half is a and the right half b.
        options: those of `Images`, but for its labels. Crops and flips are the same on both sides.

    Raises:
        UserError: neither or both are given; and what `Matched` and `Images` raise.
    """

    aligned = True  # a and b of a batch belong together

    def __init__(
        self, a: str | None = None, b: str | None = None, root: str | Sequence[str] | None = None, **options: Any
    ) -> None:
        if (a is None) != (b is None) or (a is None) == (root is None):
            raise UserError("data=paired: give data.a=FOLDER data.b=FOLDER, or data.root=FOLDER of side-by-side images")
        super().__init__(root=root, **options)
        if self.decoder.frames != "first":
            raise UserError(f"data.frames={self.decoder.frames}: of pairs the first picture is taken")
        self.folders = a, b
        self.decoder: Any = PairDecoder(self.decoder)

    def open_source(self) -> Any:
        if self.source is None:
            a, b = self.folders
            self.source = SideBySideFiles(self.roots or []) if a is None or b is None else MatchedFiles(a, b)
        return self.source

    def _batches(self, order: EndlessBatches) -> PairBatches:
        return PairBatches([super()._batches(order)], self.channels)

    def inputs(self, n: int, held_out: bool = False) -> Tensor:
        """n pictures to translate, uint8 (n, C, H, W), chosen as those of `Images.reals`."""
        return self.pairs(n, held_out, "a")[:, : self.channels]

    def ground_truth(self, n: int, held_out: bool = False) -> Tensor | None:
        """What `inputs` shall become."""
        return self.pairs(n, held_out, "a")[:, self.channels :]

    def predictable_ground_truth(self, n: int, held_out: bool = False) -> Tensor | None:
        """The truths that translations are measured by."""
        return self.ground_truth(n, held_out)

    def reals(self, n: int, held_out: bool = False) -> Tensor:
        """n pictures of the target, to compare the likes of with: of none that are held out, for what is made of their
        partners is likelier to them than to any others, and would flatter."""
        return self.pairs(0 if held_out else n, False, "b")[:, self.channels :]

    def pairs(self, n: int, held_out: bool, side: str) -> Tensor:
        """n pairs, uint8 (n, 2C, H, W), of which training sees that side."""
        return super().reals(n, held_out)

    def preview(self, n: int) -> Tensor:
        return self.reals(n)


class StyledDataModule(PairedDataModule):
    """Photographs and the same with a known look, so that what a translator has learned can be measured.

    Args:
        root: photographs.
        style: a look of `gan.data.styles`, one of pilgram's filters, or a list of pieces.
        pairing: what training sees of the pairs. "disjoint": a and b are different photographs, as in a user's two
            folders; "shared": the same ones in different orders; "paired": each with its own.
        split: as for `Images`, and what must stay together when photographs are divided between a and b.
    """

    def __init__(
        self, root: str | Sequence[str], style: str | Sequence[str], pairing: str = "disjoint", **options: Any
    ) -> None:
        if pairing not in PAIRINGS:
            raise UserError(f"data.pairing={pairing}: not known; use one of {', '.join(PAIRINGS)}")
        super().__init__(root=root, **options)
        if pairing == "disjoint" and self.split is None:
            raise UserError("data.pairing=disjoint: data.split says what stays together; take file, prefix or folder")
        self.style = style
        self.pairing = pairing
        self.aligned = pairing == "paired"
        self.is_b = np.empty(0, bool)  # (rows,): training rows whose look alone is seen
        smooth = [piece for piece in styles.names(style) if piece not in styles.STOCHASTIC]
        by_chance = smooth != styles.names(style)
        self.without_noise = StyledDataModule(root, smooth, pairing, **options) if by_chance else None

    def open_source(self) -> Any:
        self.source = self.source or StyledFiles(self.roots or [], self.style)
        return self.source

    def setup(self, stage: str) -> None:
        super().setup(stage)
        for side in "ab":
            if (n := len(self.rows_of(side))) < 2:
                raise UserError(
                    f"data.pairing={self.pairing}: {n} photographs for {side}, and two are needed: "
                    f"data.split={self.split} leaves too few groups"
                )

    def predictable_ground_truth(self, n: int, held_out: bool = False) -> Tensor | None:
        """The truths without their grain or paper, which nobody can foresee."""
        if self.without_noise is None:
            return self.ground_truth(n, held_out)
        self.without_noise.setup("fit")
        return self.without_noise.ground_truth(n, held_out)

    def _held_out(self, names: list[str]) -> np.ndarray:
        chosen = super()._held_out(names)
        self.is_b = self._share(names, (1 + self.validation) / 2)[~chosen]
        return chosen

    def _batches(self, order: EndlessBatches) -> PairBatches:
        if self.pairing == "paired":
            return super()._batches(order)
        a = Batches(self.pixels, self.labels, self.rows_of("a"), order, self.crop_flip)
        b = Batches(self.pixels, self.labels, self.rows_of("b"), order.other(len(self.rows_of("b"))), self.crop_flip)
        return PairBatches([a, b], self.channels)

    def rows_of(self, side: str) -> np.ndarray:
        """The rows that training sees that side of."""
        return self.rows[self.on(side)]

    def on(self, side: str) -> np.ndarray:
        """bool (rows,): whether training sees that side."""
        return self.is_b == (side == "b") if self.pairing == "disjoint" else np.ones(len(self.rows), bool)

    def pairs(self, n: int, held_out: bool, side: str) -> Tensor:
        if held_out:
            return super().pairs(n, held_out, side)
        return self._measured(first(self.rows_of(side), self.digests[self.on(side)], n))

    def __len__(self) -> int:
        return len(self.rows_of("a"))


class UnpairedDataModule(LightningDataModule):
    """Pictures to translate and pictures of the target, which have nothing to do with each other.

    Args:
        a, b: folders or zip archives, or several each.
        options: those of `Images`, for both; the batch has as many of each side.

    Raises:
        UserError: a side has fewer than two pictures to train on; and what `Images` raises.
    """

    aligned = False

    def __init__(self, a: str | Sequence[str], b: str | Sequence[str], seed: int = 0, **options: Any) -> None:
        super().__init__()
        self.sides = ImageDataModule(a, seed=seed, **options), ImageDataModule(b, seed=seed + SEED_OFFSET, **options)
        self.a, self.b = self.sides
        self.size, self.channels, self.batch_size = self.a.size, self.a.channels, self.a.batch_size
        self.classes: list[str] = []

    def prepare_data(self) -> None:
        self.setup("fit")
        self.compare_channels()

    def compare_channels(self) -> None:
        """Say where one side's files have what the other's lack, which data.channels then settles for both."""
        a, b = (modes(side.open_source()) for side in self.sides)
        for what, kinds in (("gray", GRAY), ("with alpha", WITH_ALPHA)):
            for name, own, others in (("a", a, b), ("b", b, a)):
                if own and own <= kinds and others.isdisjoint(kinds):
                    other = "b" if name == "a" else "a"
                    print(f"note: files of data.{name} are {what}, those of data.{other} are not; "
                          f"data.channels={self.channels} makes both alike", flush=True)  # fmt: skip

    def setup(self, stage: str) -> None:
        for name, side in zip("ab", self.sides, strict=True):
            side.setup(stage)
            if len(side) < 2:
                raise UserError(f"data.{name}={side.source.where}: {len(side)} image to train on, and two are needed")

    def train_dataloader(self) -> Iterable[dict[str, Tensor]]:
        if self.trainer is not None:
            for side in self.sides:
                side.to_device(self.trainer.strategy.root_device)
        streams = [side.stream(*position(self.trainer)) for side in self.sides]
        return training_batches(PairBatches(streams, self.channels), self.a.num_workers, self.a.storage)

    def inputs(self, n: int, held_out: bool = False) -> Tensor:
        """n pictures to translate, uint8 (n, C, H, W), chosen as those of `Images.reals`."""
        return self.a.reals(n, held_out)

    def ground_truth(self, n: int, held_out: bool = False) -> Tensor | None:
        """What `inputs` shall become is not known."""
        return None

    def reals(self, n: int, held_out: bool = False) -> Tensor:
        """n pictures of the target."""
        return self.b.reals(n, held_out)

    def preview(self, n: int) -> Tensor:
        return self.b.preview(n)

    @property
    def flips(self) -> bool:
        return self.b.flips

    @property
    def fingerprint(self) -> str:
        return self.a.fingerprint + self.b.fingerprint

    def __len__(self) -> int:
        return len(self.a)

    def state_dict(self) -> dict[str, Any]:
        return {name: side.state_dict() for name, side in zip("ab", self.sides, strict=True)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        for name, side in zip("ab", self.sides, strict=True):
            side.load_state_dict(state_dict[name])


def modes(source: Any) -> set[str]:
    """Pillow's modes of the first files that can be read."""
    found = parallel_map(partial(mode, source), range(min(CHECKED_FILES, len(source.files))), lambda index: "")
    return {*chain.from_iterable(found)} - {""}
