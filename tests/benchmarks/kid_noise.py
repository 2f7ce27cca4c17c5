"""How often the rule for replacing a start by a lower KID is wrong, and which improvements it finds.

    python tests/benchmarks/kid_noise.py PHOTOGRAPHS

paired: patches of photographs, half blended with LOOK, to photographs in LOOK, eight or one of a file; candidates have
other random numbers of LOOK. generated: blurred built-in images, each a file; candidates are other images. A repetition
draws files of both sides with replacement, and compares LOOKS candidates with the start. The KIDs of a candidate are
shifted by one number, so that the true KID, that of all files, is 1.0, 0.9 or 0.75 times that of the start. A row has
the number of files, the fraction of false replacements, and for 0.9 and 0.75 the fractions that are found at
comparisons 1, 10 and 20, and by an oracle: one z test of level LEVEL, with the true standard deviation of the
difference.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from scipy.stats import norm
from texture import files, read
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from gan.data.module import ImageDataModule
from gan.looks.registry import make_style
from gan.metrics.extractors import extractor, features
from gan.metrics.kid import LEVEL, KIDEstimate, _estimate, is_clearly_lower

LOOK, SIDE, LOOKS, SHOWN, REPETITIONS = make_style("grainy_film"), 64, 20, (1, 10, 20), 600
BLENDS, BLURS = {1.0: 0.5, 0.9: 0.52, 0.75: 0.56}, {1.0: 1.2, 0.9: 1.1, 0.75: 0.98}  # by the factor of the KID


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


def row(pools: dict[float, list[Pool]], n: int, paired: bool) -> str:
    """Return the fractions of false replacements, and of improvements that are found: by factor, by comparison."""
    torch.manual_seed(n)
    (start, *equal), found = pools[1.0], []
    better = {factor: pool for factor, (pool, *_) in pools.items() if factor < 1}
    shifts = [pool.true(n) - start.true(n) for pool in equal]
    shifts_of_better = {factor: pool.true(n) - factor * start.true(n) for factor, pool in better.items()}
    falls: dict[float, list[float]] = {factor: [] for factor in better}
    for _ in range(REPETITIONS):
        drawn = [torch.randint(size, (n,)) for size in start.sizes]
        reference, influences, lower = start.kid(drawn), {}, []

        def draw(drawn: list[Tensor] = drawn) -> list[Tensor]:
            return drawn if paired else [drawn[0], torch.randint(start.sizes[1], (n,))]

        for look, (pool, shift) in enumerate(zip(equal, shifts, strict=True), 1):
            lower.append(is_clearly_lower(pool.kid(draw(), shift), reference, look, influences))
        result = [any(lower)]
        for factor, pool in better.items():
            kid = pool.kid(draw(), shifts_of_better[factor])
            falls[factor].append(float(reference - kid))
            for look in SHOWN:
                before = {earlier: value for earlier, value in influences.items() if earlier < look}
                result.append(is_clearly_lower(kid, reference, look, before))
        found.append(result)
    means = np.mean(found, 0)
    text = f"{means[0]:8.3f}"
    for number, values in enumerate(falls.values()):
        oracle = norm.sf(norm.isf(LEVEL) - np.mean(values) / np.std(values))
        text += "".join(f"{value:8.2f}" for value in (*means[1 + 3 * number : 4 + 3 * number], oracle))
    return text


def patches(photographs: list[Path], seed: int, blend: float, each: int) -> Tensor:
    """Return patches uint8 (N each, 3, SIDE, SIDE) at fixed places of N photographs, blended with LOOK."""
    random, cut = np.random.RandomState(0), []
    for number, image in enumerate(map(read, photographs)):
        mixed = blend * LOOK(image, 10_000 * seed + number) + (1 - blend) * image.astype(float)
        for _ in range(each):
            top, left = (random.randint(side - SIDE + 1) for side in image.shape[:2])
            cut.append(mixed[top : top + SIDE, left : left + SIDE])
    return torch.from_numpy(np.stack(cut)).round().to(torch.uint8).permute(0, 3, 1, 2).contiguous()


def paired_pools(photographs: list[Path], each: int) -> dict[float, list[Pool]]:
    """Return the pools of `paired`, with `each` patches of a photograph."""
    lite0 = extractor("lite0").eval()

    def of(side: list[Path], seed: int, blend: float) -> Tensor:
        return features(lite0, patches(side, seed, blend, each))

    real = of(photographs[1::2], 0, 1.0)
    first, *seeds = (of(photographs[::2], seed, BLENDS[1.0]) for seed in range(1, 8))
    chosen = torch.randint(6, (LOOKS, len(first)), generator=torch.Generator().manual_seed(0))
    mixtures = [torch.stack(seeds)[rows, range(len(first))] for rows in chosen]
    pools = {1.0: [Pool(real, made, each) for made in (first, *mixtures)]}
    return pools | {f: [Pool(real, of(photographs[::2], 8, blend), each)] for f, blend in BLENDS.items() if f < 1}


def generated_pools() -> dict[float, list[Pool]]:
    lite0, images = extractor("lite0").eval(), ImageDataModule(size=SIDE, num_images=1600)
    images.setup("fit")
    real, made = images.reals(1600).split(800)
    real = features(lite0, real)
    blurred = {f: [Pool(real, features(lite0, gaussian_blur(made, 7, by)), 1)] for f, by in BLURS.items()}
    blurred[1.0] *= 1 + LOOKS
    return blurred


def main(folder: str) -> None:
    photographs = files(folder)
    for name, pools, numbers in (
        ("paired, 8 patches", paired_pools(photographs, 8), (5, 10, 20, 50)),
        ("paired, 1 patch", paired_pools(photographs, 1), (20, 50)),
        ("generated", generated_pools(), (50, 200)),
    ):
        print(name, [round(found[0].true(50)) for found in pools.values()])
        for n in numbers:
            print(f"{n:6}" + row(pools, n, name != "generated"), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
