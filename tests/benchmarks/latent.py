"""Quality of projection: python tests/benchmarks/latent.py RUN [--own 64] [--real 64] [--space w+] [--steps N]

For the generator's own images it prints how many latents are recovered. For real images that the run has held out it
prints how often the projection is nearer than the nearest training image and than the image of the mean latent, by PSNR
and SSIM (not by Lite0 features, which the projection minimizes), and the edit consistency along the first direction of
SeFa.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

import gan
from gan.editing.space import Space
from gan.metrics.pairs import psnr, ssim
from gan.model import Model
from gan.models.address import checkpoint_of
from gan.models.loading import load_data

CANDIDATES = 500  # training images among which the nearest is searched
TRIMMED = 0.01  # fraction of values that the edit consistency leaves out at either end
RECOVERED = 0.95  # cosine similarity of a latent that counts as recovered


def own_images(model: Model, name: str, n: int) -> None:
    space = Space(model.generator, name.removesuffix("+"))
    z, labels = model.sample_z(list(range(n)))
    latents = space.from_z(z, labels)
    images = space.render_uint8(latents, labels)
    started = time.monotonic()
    found = model.project(images, name)
    seconds = time.monotonic() - started
    quality = psnr(space.render_uint8(found.latents, found.labels), images)
    flat = found.latents.mean(1) if found.latents.ndim == 3 else found.latents
    mean = space.statistics[0].mean(0)
    near = torch.cosine_similarity(flat - mean, latents - mean) >= RECOVERED
    print(f"{n} own images in {name or space.name}, {seconds / 60:.1f} min: PSNR median {quality.median():.1f} dB, "
          f"minimum {quality.min():.1f}; cosine of latents >= {RECOVERED} for {near.float().mean():.0%}")  # fmt: skip


def held_out_images(model: Model, data: object, name: str, n: int, steps: int) -> None:
    space = Space(model.generator, name.removesuffix("+"))
    real, train = data.reals(n, held_out=True), data.reals(100_000)  # type: ignore[attr-defined]
    found = model.project(real, name, steps=steps)
    projected = space.render_uint8(found.latents, found.labels)
    classes = torch.zeros(len(real), dtype=torch.long) if found.labels is None else found.labels
    mean = space.render_uint8(space.statistics[0][classes], found.labels)
    scores = {"PSNR": psnr, "SSIM": ssim}
    baselines = {
        "nearest training image, by the same score": {key: best(score, real, train) for key, score in scores.items()},
        "image of the mean": {key: score(mean, real) for key, score in scores.items()},
    }
    medians = ", ".join(f"{key} median {score(projected, real).median():.3f}" for key, score in scores.items())
    print(f"{len(real)} held-out images in {name or space.name}: {medians}")
    for baseline, values in baselines.items():
        better = {key: (score(projected, real) > values[key]).float().mean() for key, score in scores.items()}
        print(f"  better than the {baseline}: " + ", ".join(f"{key} {rate:.0%}" for key, rate in better.items()))
    edit = model.directions(sefa=1, pca=0)["sefa0"]
    again = model.project(space.render_uint8(found.latents + edit, found.labels), name, steps=steps)
    consistency = edit_consistency(found.latents, again.latents, edit)
    length = edit.expand_as(found.latents[0]).norm()
    print(f"  edit consistency (LEC) {consistency:.2f} for an edit of length {length:.2f}")


def edit_consistency(before: Tensor, after: Tensor, edit: Tensor) -> float:
    """Return the latent editing consistency of latents (N, ...) before and after an edit and a projection; 0 is best.

    Tov, Alaluf, Nitzan, Patashnik, Cohen-Or, "Designing an Encoder for StyleGAN Image Manipulation", 2021,
    arXiv:2102.02766, section 4.3.
    """
    distances = (before - (after - edit)).flatten(1).double().norm(dim=1).sort().values
    cut = int(TRIMMED * len(distances))
    return float(distances[cut : len(distances) - cut].mean())


def best(score: Callable[[Tensor, Tensor], Tensor], real: Tensor, train: Tensor) -> Tensor:
    """Return for each image the highest score among the CANDIDATES training images nearest in pixels."""
    near = torch.cdist(real.flatten(1).float(), train.flatten(1).float()).topk(min(CANDIDATES, len(train)), 1, False)
    return torch.stack([score(train[rows], image.expand(len(rows), -1, -1, -1)).max()
                        for image, rows in zip(real, near.indices, strict=True)])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--own", type=int, default=64, help="number of own images")
    parser.add_argument("--real", type=int, default=64, help="number of held-out images")
    parser.add_argument("--steps", type=int, default=300, help="steps of Adam for held-out images")
    parser.add_argument("--space", default="", help="z, w or w+")
    arguments = parser.parse_args()
    model = gan.load(arguments.run)
    if arguments.own:
        own_images(model, arguments.space, arguments.own)
    if arguments.real:
        data = load_data(model.config, checkpoint_of(arguments.run))
        held_out_images(model, data, arguments.space, arguments.real, arguments.steps)


if __name__ == "__main__":
    main()
