"""The pool of generated images follows its rule, and is restored from a checkpoint."""

import torch
from torch import Tensor

from gan.training.translation import ImagePool


def pictures(values: range) -> Tensor:
    return torch.tensor([float(value) for value in values]).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)


def test_each_image_is_returned_until_the_pool_is_full() -> None:
    pool = ImagePool(5)
    assert torch.equal(pool(pictures(range(5)), 0), pictures(range(5)))
    assert len(pool.stored) == 5


def test_a_full_pool_exchanges_half_of_the_images_for_older_ones() -> None:
    pool, exchanged = ImagePool(50), 0
    pool(pictures(range(50)), 0)
    kept = set(range(50))
    for value in range(50, 450):
        (back,) = pool(pictures(range(value, value + 1)), value)[:, 0, 0, 0].int().tolist()
        if back != value:
            exchanged += 1
            assert back in kept
            kept = kept - {back} | {value}
        assert {int(image[0, 0, 0]) for image in pool.stored} == kept
    assert 160 < exchanged < 240  # 400 coins: 200 with a deviation of 10


def test_it_resumes_exactly_from_a_checkpoint() -> None:
    one, other, elsewhere = ImagePool(4), ImagePool(4), ImagePool(4, seed=1)
    one(pictures(range(9)), 0)
    for pool in (other, elsewhere):
        pool.load_state_dict(one.state_dict())
    after = one(pictures(range(9, 20)), 9)
    assert torch.equal(after, other(pictures(range(9, 20)), 9))
    assert not torch.equal(after, elsewhere(pictures(range(9, 20)), 9))
    other.load_state_dict(ImagePool(4).state_dict())
    assert not other.stored


def test_stored_images_do_not_share_memory_with_inputs() -> None:
    pool, images = ImagePool(1), pictures(range(1)).clone()
    pool(images, 0)
    images.fill_(7)
    assert pool.stored[0].max() == 0


def test_micro_batches_return_the_same_images_as_the_whole_batch() -> None:
    one, other = ImagePool(4), ImagePool(4)
    for start in (0, 8, 16):
        images = pictures(range(start, start + 8))
        parts = [other(images[:3], start), other(images[3:], start)]
        assert torch.equal(one(images, start), torch.cat(parts))


def test_no_value_is_read_from_the_device() -> None:
    pool = ImagePool(2).to("meta")  # reading a value of a meta tensor is an error
    for start in (0, 3, 6):
        assert pool(pictures(range(3)).to("meta"), start).shape == (3, 3, 4, 4)
