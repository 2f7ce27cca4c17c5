from __future__ import annotations

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.live_bytes import LiveBytes


def test_bytes_are_counted_from_allocation_to_the_last_reference() -> None:
    with LiveBytes("cpu") as count:
        x = torch.ones(10)
        assert count.live == 40
        views = [x[2:], x.view(2, 5), x.detach()]
        assert count.live == 40
        y = x + 1
        del x
        assert count.live == 80
        del views
        assert (count.live, count.peak) == (40, 80)
        y.add_(1)
        assert (count.live, count.peak) == (40, 80)


def test_tensors_before_the_context_and_of_other_devices_do_not_count() -> None:
    before = torch.ones(10)
    with LiveBytes("cpu") as count:
        torch.ones(10, device="meta")
        same = before.view(2, 5)
        assert count.live == 40  # the view has shown its storage
        count.add(same)
        assert count.live == 40


def test_the_forward_pass_keeps_what_the_backward_pass_needs() -> None:
    with LiveBytes("cpu") as count:
        x = torch.ones(100, requires_grad=True)
        y = x.exp().exp().sum()
        assert count.live == 400 + 2 * 400 + 4
        y.backward()
        assert count.live == 400 + 400 + 4  # x, its gradient and y
        assert count.peak >= 400 + 2 * 400 + 4 + 400


def test_values_of_fake_tensors_are_zero() -> None:
    with FakeTensorMode(), LiveBytes("cpu", fake=True) as count:
        x = torch.ones(3)
        assert int(x[0]) == 0 and not bool(x[1] > 0) and count.live >= 12
