"""Exported files give the images of PyTorch, hold nothing of the machine, and are not written if they differ."""

import importlib.util
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gan.contracts import Translator, check
from gan.export import export
from gan.export.parts import Part, example_images, generator_parts, plain, translator_part
from gan.images.convert import to_pil_image, to_uint8
from gan.models.sampling import latents
from gan.networks import dcgan, fastgan, lut, resnet_translator, style, stylegan2, unet
from gan.networks.closed_form import color_map
from gan.networks.closed_form.inks import SETTINGS
from gan.utils import code
from gan.utils.errors import UserError
from tests.color_maps import give_start
from tests.commands.test_train import NETS
from tests.conftest import ROOT, Train
from tests.pages import blocks
from tests.security.checkpoints import DCGAN, LUT, STYLEGAN2, checkpoint

from .conftest import loaded, private_words

SIZE = (16, 24)
resnet_part = resnet_translator.Generator


def random(network: Any) -> Any:
    """Set all weights, so that residual networks and noise gains have an effect. Those of StyleGAN2 are suitable."""
    torch.manual_seed(0)
    for parameter in () if type(network).__module__ == stylegan2.__name__ else network.parameters():
        nn.init.normal_(parameter, 0, 0.15) if parameter.ndim > 1 else nn.init.normal_(parameter, 1, 0.1)
    return give_start(network).eval()


def generator(build: Callable[..., Any], **options: Any) -> Callable[[], list[Part]]:
    return lambda: generator_parts(random(build(SIZE, **options)), SIZE)


def translator(build: Callable[..., Any], channels: int = 3, **options: Any) -> Callable[[], list[Part]]:
    return lambda: [part_of(random(build(channels, **options)), channels)]


def part_of(network: Any, channels: int) -> Part:
    check(network, Translator, "network")
    return translator_part("translator", network, channels, (32, 32))


def new(channels: int, **options: Any) -> Callable[[], list[Part]]:
    """Return the part of a translator that is the color map alone: the best checkpoint may be that before training."""

    def parts() -> list[Part]:
        network = resnet_part(channels, width=4, n_blocks=1, norm="none", residual=True, **options)
        return [part_of(give_start(network).eval(), channels)]

    return parts


def style_network() -> Any:
    """Return a network with shaped noise, carriers and flow lines."""
    network = random(style.Generator(4, width=4, n_layers=1, carriers=2, grain=True))
    network.texture.set_carriers(torch.tensor([[0.2, 0.05], [0.05, -0.2]]))
    network.texture.flow_lines.set_frequency(0.3)
    nn.init.normal_(network.shaped_noise.kernel, 0, 0.003)
    return network


def drawing_network() -> Any:
    """Return a network that draws in three uneven inks."""
    network = style_network()
    network.texture.flow_lines.set_frequency(0.0)
    inks = network.texture.inks
    inks.palette.copy_(torch.linspace(-0.9, 0.8, len(inks.palette))[:, None].expand(-1, 3))
    inks.set_settings({name: values[-1] for name, values in SETTINGS.items()}, 3)
    nn.init.normal_(inks.uneven.kernel, 0, 0.05)
    nn.init.normal_(inks.uneven.curve, 0, 0.1)
    inks.uneven.direction.fill_(0.5)
    return network


def style_part(network: Callable[[], Any]) -> Callable[[], list[Part]]:
    return lambda: [part_of(network(), 4)]


PARTS = {
    "dcgan, classes": generator(dcgan.Generator, width=4, latent_dim=8, classes=3),
    "fastgan": generator(fastgan.Generator, width=4, latent_dim=8),
    "stylegan2, classes": generator(stylegan2.Generator, width=4, max_channels=8, latent_dim=8, classes=3),
    "resnet, noise, residual": translator(resnet_part, width=4, n_blocks=1, norm="none", residual=True, noise=True),
    "resnet, gray, before training": new(1),
    "unet": translator(unet.Generator, width=4, depth=4, norm="none", residual=True),
    "lut, alpha": translator(lut.Generator, 4, lut_size=5, width=4),
    "style, alpha": style_part(style_network),
    "style, drawing": style_part(drawing_network),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PARTS if name != "lut, alpha"])  # test_web_page exports it
def test_onnx_agrees_with_pytorch(name: str) -> None:
    pytest.importorskip("onnxscript")
    import onnx

    for part in PARTS[name]():
        model = onnx.load_from_string(export.make(part, "onnx", Path("x"), {"about": "x"}).data)
        onnx.checker.check_model(model, full_check=True)
        assert [each.version for each in model.opset_import if not each.domain] == [18]
        assert {node.op_type for node in model.graph.node}.isdisjoint({"GridSample"}) and not model.functions
        first = model.graph.input[0].type.tensor_type.shape.dim
        free = ["batch"] + ["height", "width"] * part.free_size
        assert [dim.dim_param for dim in first if dim.dim_param] == free
        assert not onnx_file_says_more(model)


def onnx_file_says_more(model: Any) -> list[Any]:
    """Return all texts of a model that its results do not need."""
    graph = model.graph
    found = [each for group in (graph.node, graph.initializer, graph.input, graph.output) for each in group]
    return [each for each in found if each.doc_string or each.metadata_props] + [*graph.value_info]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fastgan", "resnet, noise, residual", "lut, alpha"])
def test_pt2_agrees_with_pytorch(name: str) -> None:
    for part in PARTS[name]():
        export.make(part, "pt2", Path("x"), {"about": "x"})


def test_lookup_by_gathering_agrees_with_sampling() -> None:
    torch.manual_seed(0)
    luts, color = torch.randn(2, 3, 5, 5, 5), 1.2 * (2 * torch.rand(2, 3, 6, 7) - 1)  # some colors are outside
    color[0, :, 0, 0], color[1, :, 0, 0] = 1, -1
    assert (color_map.sampled(luts, color) - color_map.gathered(luts, color)).abs().max() < 1e-5


def test_the_exported_copy_leaves_the_network_unchanged() -> None:
    network = fastgan.Generator(SIZE, width=4, latent_dim=8).eval()
    z, names = torch.randn(2, 8), list(network.state_dict())
    y = network(z)
    copied = plain(network)
    assert not any("parametrizations" in name for name in copied.state_dict())
    assert list(network.state_dict()) == names and network(z).equal(y)
    assert (copied(z) - y).abs().max() < 1e-5


def test_statistics_of_a_batch_become_those_of_each_image() -> None:
    network = random(unet.Generator(3, width=4, depth=2, norm="batch"))
    images = example_images(2, 3, (16, 16))
    alone = torch.cat([network(image[None]) for image in images])
    assert (plain(network)(images) - alone).abs().max() < 1e-5 < (network(images) - alone).abs().max()


@pytest.mark.slow
def test_a_file_that_differs_is_refused_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded(tmp_path)
    encode, open_function = export.FORMATS["pt2"]

    def wrong(data: bytes, part: Part) -> Any:
        return lambda *inputs: open_function(data, part)(*inputs) + 0.1

    monkeypatch.setitem(export.FORMATS, "pt2", (encode, wrong))
    with pytest.raises(UserError, match=r"generator.pt2: not written, because it differs .* by 1.0e-01"):
        export.export(model, "pt2", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_files_hold_nothing_of_the_machine(tmp_path: Path, gan_command: Train) -> None:
    pytest.importorskip("onnxscript")
    torch.save(checkpoint(DCGAN), tmp_path / "made.ckpt")
    for to in export.FORMATS:
        said = gan_command("export", "made.ckpt", "--to", to, "--out", "out").stdout
        assert "largest difference from PyTorch" in said
    error = gan_command("export", "made.ckpt", "--to", "pt2", "--out", "out", check=2).stderr
    assert "generator.pt2: exists already; use --force to overwrite" in error
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"generator.{to}" for to in export.FORMATS}
    private = [*private_words(tmp_path), b".py", b"stack_trace", b"File \\", b"site-packages"]
    for path in (tmp_path / "out").iterdir():
        for content in contents(path):
            assert not [word for word in private if word in content], path


def contents(path: Path) -> list[bytes]:
    """Return the bytes of a file; of a zip archive, those of its members, and its own."""
    data = path.read_bytes()
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return [data]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [data, *(archive.read(name) for name in archive.namelist() if "/weights/weight" not in name)]


@pytest.mark.slow
def test_the_images_of_seeds_are_those_of_gan_generate(tmp_path: Path, gan_command: Train) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    model = loaded(tmp_path, STYLEGAN2, classes=("card", "tile"))
    gan_command("export", "made.ckpt", "--to", "onnx", "--out", "exported")
    session = onnxruntime.InferenceSession(tmp_path / "exported" / "generator.onnx")
    about = json.loads(session.get_modelmeta().custom_metadata_map[export.METADATA])
    assert about["classes"] == ["card", "tile"] and about["inputs"] == ["z", "label"]
    z, labels = model.sample_z([5, 6, 7])
    assert z.equal(latents([5, 6, 7], about["latent_dim"]))
    (images,) = session.run(None, {"z": z.numpy(), "label": labels.numpy()})
    expected = model.generate([5, 6, 7]).pixels
    assert (to_uint8(torch.from_numpy(images)).int() - expected.int()).abs().max() <= 1


@pytest.mark.slow
def test_the_examples_of_the_page(tmp_path: Path, gan_command: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    loaded(tmp_path)
    gan_command("export", "made.ckpt", "--to", "onnx", "--out", "exported")
    torch.save(checkpoint([*LUT, "data.size=32"]), tmp_path / "made.ckpt")
    gan_command("export", "made.ckpt", "--to", "onnx", "--out", "exported")
    from PIL import Image

    to_pil_image(to_uint8(example_images(1, 3, (50, 41)))[0]).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    for text in blocks(ROOT / "docs" / "export.md", "python"):
        exec(text, {})
    for name, size in (("4.png", (16, 16)), ("translated.png", (41, 50))):
        with Image.open(name) as image:
            assert image.size == size


@pytest.mark.slow
def test_own_networks_and_what_a_format_cannot_hold(
    tmp_path: Path, gan_command: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(code, "_folders", [])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own_export.py").write_text(NETS.replace("torch.tanh", "torch.special.i1"))
    made = checkpoint(DCGAN)
    options = {"size": [16, 16], "channels": 3, "latent_dim": 8}
    state = {name: value for name, value in made["state_dict"].items() if not name.startswith("ema.module.")}
    weights = {"ema.module.layer.weight": torch.randn(768, 8), "ema.module.layer.bias": torch.randn(768)}
    made["state_dict"] = state | weights
    made["config"]["model"]["generator"] = {"_target_": "own_export.Net", **options}
    torch.save(made, tmp_path / "own.ckpt")
    words = "--code", "mine", "--out", "out", "--to"
    assert "add --code DIR" in gan_command("export", "own.ckpt", "--out", "out", "--to", "pt2", check=2).stderr
    assert "0 of 255 levels" in gan_command("export", "own.ckpt", *words, "pt2").stdout
    error = gan_command("export", "own.ckpt", *words, "onnx", check=2).stderr
    assert "ONNX does not support its network" in error and "prims.bessel_i1" in error and error.count("\n") == 1
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"generator.pt2"}


@pytest.mark.slow
def test_errors_of_the_command(tmp_path: Path, gan_command: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(checkpoint([*LUT]), tmp_path / "made.ckpt")
    (tmp_path / "file").touch()

    def error(*words: str) -> str:
        said = gan_command("export", *words, check=2).stderr
        assert said.count("\n") == 1
        return said

    onnx = ("--to", "onnx", "--out")
    assert "cannot be written (Not a directory)" in error("made.ckpt", *onnx, "file/out")
    find_spec = importlib.util.find_spec
    absent = export.PACKAGES
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else find_spec(name))
    said = "error: --to onnx and --to web need onnx, onnxscript, onnxruntime: pip install 'retro-gan[export]'\n"
    assert error("made.ckpt", *onnx, "out") == said
