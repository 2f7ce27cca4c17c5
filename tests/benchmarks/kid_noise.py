"""How often the rule for replacing a start by a lower KID is wrong, and which improvements it finds.

    python tests/benchmarks/kid_noise.py PHOTOGRAPHS

paired: patches of photographs, half blended with LOOK, to photographs in LOOK; candidates have other random numbers of
LOOK. generated: blurred built-in images, each a file; candidates are other images. A repetition draws files of both
sides with replacement, and compares LOOKS candidates with the start. The KIDs of a candidate are shifted by one number,
so that the true KID, that of all files, is 1.0, 0.9 or 0.7 times that of the start. A row has the number of files, the
fraction of false replacements, and the fractions of 0.9 and 0.7 that are found at comparisons 1, 5 and 20.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from texture import files, read
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from gan.data.looks.registry import make_style
from gan.data.module import ImageDataModule
from gan.metrics.extractors import extractor, features
from gan.metrics.kid import KIDEstimate, _estimate, is_clearly_lower

LOOK, SIDE, PATCHES, LOOKS, SHOWN, REPETITIONS = make_style("grainy_film"), 64, 8, 20, (1, 5, 20), 1000
BLENDS, BLURS = {1.0: 0.5, 0.9: 0.52, 0.7: 0.57}, {1.0: 1.2, 0.9: 1.1, 0.7: 0.95}  # by the factor of the KID


class Pool:
    """Sums of the kernel over pairs of files of real images and of a candidate, with `each` images per file."""

    def __init__(self, real: Tensor, made: Tensor, each: int) -> None:
        x, y = real.double(), made.double()
        kernels = [((a @ b.T / a.shape[1] + 1) ** 3).unflatten(1, (-1, each)) for a, b in ((x, x), (y, y), (x, y))]
        *self.within, self.between = (kernel.sum(2).unflatten(0, (-1, each)).sum(1) for kernel in kernels)
        self.own = [((a.square().mean(1) + 1) ** 3).unflatten(0, (-1, each)).sum(1) for a in (x, y)]
        self.each, self.sizes = each, self.between.shape

    def true(self, n: int) -> float:
        """Return the mean of `kid` over all draws of n files of each side; a file can be drawn twice."""
        same = [(full.diagonal() - own).mean() for full, own in zip(self.within, self.own, strict=True)]
        x, y = (n * (n - 1) * full.mean() + n * one for full, one in zip(self.within, same, strict=True))
        return 1000 * float(_estimate(x, y, n**2 * self.between.mean(), n * self.each, n * self.each))

    def kid(self, drawn: list[Tensor], shift: float = 0.0) -> KIDEstimate:
        """Return the KID of drawn files minus `shift`, as `gan.metrics.kid.estimate_kid` does."""
        n, between = len(drawn[0]) * self.each, self.between[drawn[0]][:, drawn[1]]
        parts = zip(self.within, self.own, drawn, strict=True)
        within = [full[rows][:, rows] - own[rows].diag() for full, own, rows in parts]
        (x, y), cross = (sums.sum() for sums in within), between.sum()
        less_x, less_y = (sums.sum() - 2 * sums.sum(1) + sums.diagonal() for sums in within)
        without_x = _estimate(less_x, y, cross - between.sum(1), n - self.each, n)
        without_y = _estimate(x, less_y, cross - between.sum(0), n, n - self.each)
        values = _estimate(x, y, cross, n, n), without_x, without_y
        value, *without = (1000 * each - shift for each in values)
        return KIDEstimate(float(value), without)


def row(pools: dict[float, list[Pool]], n: int) -> str:
    """Return the fractions of false replacements, and of found improvements by factor and comparison."""
    torch.manual_seed(n)
    (start, *equal), found = pools[1.0], []
    candidates = [(1.0, pool, (look,)) for look, pool in enumerate(equal, 1)]
    candidates += [(factor, pools[factor][0], SHOWN) for factor in (0.9, 0.7)]
    shifts = [pool.true(n) - factor * start.true(n) for factor, pool, _ in candidates]
    for _ in range(REPETITIONS):
        drawn = [torch.randint(size, (n,)) for size in start.sizes]
        reference, lower = start.kid(drawn), []
        for (_, pool, looks), shift in zip(candidates, shifts, strict=True):
            kid = pool.kid(drawn if start.each > 1 else [drawn[0], torch.randint(start.sizes[1], (n,))], shift)
            lower += [is_clearly_lower(kid, reference, look) for look in looks]
        found.append([any(lower[: len(equal)]), *lower[len(equal) :]])
    return "".join(f"{value:8.3f}" for value in np.mean(found, 0))


def patches(photographs: list[Path], seed: int, blend: float) -> Tensor:
    """Return patches uint8 (N PATCHES, 3, SIDE, SIDE) at fixed places of N photographs, blended with LOOK."""
    random, cut = np.random.RandomState(0), []
    for number, image in enumerate(map(read, photographs)):
        mixed = blend * LOOK(image, 10_000 * seed + number) + (1 - blend) * image.astype(float)
        for _ in range(PATCHES):
            top, left = (random.randint(side - SIDE + 1) for side in image.shape[:2])
            cut.append(mixed[top : top + SIDE, left : left + SIDE])
    return torch.from_numpy(np.stack(cut)).round().to(torch.uint8).permute(0, 3, 1, 2).contiguous()


def main(folder: str) -> None:
    lite0, photographs = extractor("lite0").eval(), files(folder)
    real = features(lite0, patches(photographs[1::2], 0, 1.0))
    first, *seeds = (features(lite0, patches(photographs[::2], seed, BLENDS[1.0])) for seed in range(1, 8))
    chosen = torch.randint(6, (LOOKS, len(first)), generator=torch.Generator().manual_seed(0))
    mixtures = [torch.stack(seeds)[rows, range(len(first))] for rows in chosen]
    pools = {1.0: [Pool(real, made, PATCHES) for made in (first, *mixtures)]}
    pools |= {f: [Pool(real, features(lite0, patches(photographs[::2], 8, BLENDS[f])), PATCHES)] for f in (0.9, 0.7)}
    images = ImageDataModule(size=SIDE, num_images=1600)
    images.setup("fit")
    real, made = images.reals(1600).split(800)
    real = features(lite0, real)
    blurred = {f: [Pool(real, features(lite0, gaussian_blur(made, 7, by)), 1)] for f, by in BLURS.items()}
    blurred[1.0] *= 1 + LOOKS
    for name, cases in (("paired", pools), ("generated", blurred)):
        print(name, [round(found[0].true(50)) for found in cases.values()])
        for n in (5, 10, 20, 50) if name == "paired" else (50, 200):
            print(f"{n:6}" + row(cases, n), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
