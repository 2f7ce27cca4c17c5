from __future__ import annotations

import pytest
from torch import nn

from gan.common.errors import UserError
from gan.networks import dcgan, r3gan, stylegan2
from gan.training.micro_batches import choose_micro_batch, describe_batch_norm, images_together
from gan.training.rehearsal import Need
from tests.recipes import build

GIB = 2**30
SIZE = (16, 16)


def test_micro_batches_are_multiples_of_images_together() -> None:
    blocks = r3gan.Generator(SIZE, width=16), r3gan.Discriminator(SIZE, width=16)
    assert images_together(*blocks) == 1
    assert images_together(blocks[0], stylegan2.Discriminator(SIZE, width=4)) == 4
    assert images_together(blocks[0], stylegan2.Discriminator(SIZE, width=4, mbstd_group_size=1)) == 1
    assert images_together(blocks[0], dcgan.Discriminator(SIZE, width=4)) is None
    assert images_together(blocks[0], dcgan.Discriminator(SIZE, width=4, norm="spectral")) == 1
    assert images_together(blocks[0], dcgan.Discriminator(SIZE, width=4, norm="none", mbstd_group_size=2)) == 2
    sixes = nn.Identity()
    sixes.images_together = 6  # type: ignore[assignment]
    assert images_together(stylegan2.Discriminator(SIZE, width=4), sixes) == 12


@pytest.mark.parametrize(
    ("gib_per_image", "together", "expected"),
    [(0.7, 4, 32), (1.4, 4, 16), (4.0, 1, 4), (4.0, 4, 4), (8.0, 4, 4), (8.0, 1, 2), (30.0, 1, 1), (0.1, None, None)],
)
def test_the_largest_divisor_that_fits_into_24_gib(
    gib_per_image: float, together: int | None, expected: int | None
) -> None:
    need = Need(GIB, round((1 + 8 * gib_per_image) * GIB))
    assert choose_micro_batch(need, 8, 24 * GIB, 64, together) == expected


def test_a_batch_without_a_suitable_divisor() -> None:
    need = Need(GIB, 100 * GIB)
    assert choose_micro_batch(need, 6, 24 * GIB, 6, 4) is None
    assert choose_micro_batch(need, 4, 24 * GIB, 4, 4) is None
    assert choose_micro_batch(need, 1, 24 * GIB, 1, 1) is None
    assert choose_micro_batch(need, 12, 70 * GIB, 12, 4) == 4


@pytest.mark.parametrize("size", [1, 3])
def test_batch_norm_needs_several_images(size: int) -> None:
    module, _ = build("dcgan")
    module.micro_batch = size
    with pytest.raises(UserError, match=f"micro_batch={size}: a micro-batch of a batch of 4 images has one image"):
        describe_batch_norm(module, 4)


def test_statistics_of_micro_batches_are_noted() -> None:
    module, _ = build("dcgan")
    assert describe_batch_norm(module, 4) is None
    module.micro_batch = 2
    assert "BatchNorm uses the statistics of each micro-batch" in str(describe_batch_norm(module, 4))
    other, _ = build("r3gan")
    other.micro_batch = 1
    assert describe_batch_norm(other, 4) is None
