"""What projection reaches: python tests/benchmarks/latent.py RUN [--own 64] [--real 64] [--space w+] [--steps N]

Of the generator's own pictures, how many latents are found again; of real images that the run has held out, whether
what is found is nearer than the nearest image trained on and than the picture of the mean, by PSNR and SSIM (Lite0 is
in the distance that is made small, so it is no judge); and edit consistency along the first direction of SeFa.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

import gan
from gan.inference import loading
from gan.latent.space import Space
from gan.metrics.edit_consistency import edit_consistency
from gan.metrics.pairs import psnr, ssim
from gan.model import Model
from gan.run import checkpoints

NEAR = 500  # images trained on that the nearest is looked for among


def own_pictures(model: Model, space: str, n: int) -> None:
    place = Space(model.generator, space.removesuffix("+"))
    z, labels = model.latents_of(list(range(n)))
    points = place.of(z, labels)
    pictures = place.draw(points, labels)
    started = time.monotonic()
    found = model.project(pictures, space)
    seconds = time.monotonic() - started
    quality = psnr(place.draw(found.points, found.labels), pictures)
    flat = found.points.mean(1) if found.points.ndim == 3 else found.points
    mean = place.statistics[0].mean(0)
    near = torch.cosine_similarity(flat - mean, points - mean) >= 0.95
    print(f"{n} own pictures in {space or place.name}, {seconds / 60:.1f} min: PSNR median {quality.median():.1f} dB, "
          f"least {quality.min():.1f}; cosine of the latents >= .95 for {near.float().mean():.0%}")  # fmt: skip


def held_out_images(model: Model, data: object, space: str, n: int, steps: int) -> None:
    place = Space(model.generator, space.removesuffix("+"))
    real, trained = data.reals(n, held_out=True), data.reals(100_000)  # type: ignore[attr-defined]
    found = model.project(real, space, steps=steps)
    drawn = place.draw(found.points, found.labels)
    kinds = torch.zeros(len(real), dtype=torch.long) if found.labels is None else found.labels
    mean = place.draw(place.statistics[0][kinds], found.labels)
    scores = {"PSNR": psnr, "SSIM": ssim}
    rivals = {
        "nearest trained on, by the same score": {name: best(score, real, trained) for name, score in scores.items()},
        "picture of the mean": {name: score(mean, real) for name, score in scores.items()},
    }
    medians = ", ".join(f"{name} median {score(drawn, real).median():.3f}" for name, score in scores.items())
    print(f"{len(real)} held-out images in {space or place.name}: {medians}")
    for rival, reached in rivals.items():
        better = {name: (score(drawn, real) > reached[name]).float().mean() for name, score in scores.items()}
        print(f"  better than the {rival}: " + ", ".join(f"{name} {share:.0%}" for name, share in better.items()))
    edit = model.directions(sefa=1, pca=0)["sefa0"]
    again = model.project(place.draw(found.points + edit, found.labels), space, steps=steps)
    consistency = edit_consistency(found.points, again.points, edit)
    length = edit.expand_as(found.points[0]).norm()
    print(f"  edit consistency (LEC) {consistency:.2f}, where the edit is {length:.2f} long")


def best(score: Callable[[Tensor, Tensor], Tensor], real: Tensor, trained: Tensor) -> Tensor:
    """Of each image the highest score that an image trained on has, of those NEAR to it in pixels."""
    near = torch.cdist(real.flatten(1).float(), trained.flatten(1).float()).topk(min(NEAR, len(trained)), 1, False)
    return torch.stack([score(trained[rows], image.expand(len(rows), -1, -1, -1)).max()
                        for image, rows in zip(real, near.indices, strict=True)])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--own", type=int, default=64, help="pictures of its own")
    parser.add_argument("--real", type=int, default=64, help="images held out")
    parser.add_argument("--steps", type=int, default=300, help="for images held out")
    parser.add_argument("--space", default="", help="z, w or w+")
    arguments = parser.parse_args()
    model = gan.load(arguments.run)
    if arguments.own:
        own_pictures(model, arguments.space, arguments.own)
    if arguments.real:
        data = loading.data(model.config, checkpoints.find_checkpoint(arguments.run, "best"))
        held_out_images(model, data, arguments.space, arguments.real, arguments.steps)


if __name__ == "__main__":
    main()
