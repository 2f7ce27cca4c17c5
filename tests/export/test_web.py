"""The parts of a page without a browser: its runtime, its files, its model.json, and its JavaScript in Node.js."""

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch
from PIL import Image

from gan.export import web
from gan.export.parts import Part
from gan.export.web import MODEL, class_edges, page_parts, thumbnail
from gan.images.convert import to_float, to_pil_image, to_uint8
from gan.models.sampling import classes_of, latents
from gan.networks.tile_position import TilePosition, noise_planes
from gan.translation.tiling import pad, translate
from gan.translation.translator import planes_of
from gan.utils.errors import UserError
from tests.color_maps import give_start
from tests.conftest import ROOT, Train
from tests.security.checkpoints import DCGAN, LUT

from .conftest import loaded, private_words

PAGE = ROOT / "gan" / "export" / "page"
SCRIPTS = {path.name: path.read_text() for path in PAGE.glob("*.mjs")}


# ---- the runtime


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return a small package in place of onnxruntime-web, which can be downloaded."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name in [*web.MEMBERS.values(), "ort.all.js"]:
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    data = stream.getvalue()
    (tmp_path / "served").write_bytes(data)
    monkeypatch.setattr(web, "URL", (tmp_path / "served").as_uri())
    monkeypatch.setattr(web, "SHA512", base64.b64encode(hashlib.sha512(data).digest()).decode())
    monkeypatch.setattr(web, "SIZE", len(data))
    monkeypatch.setenv("RETRO_GAN_CACHE", str(tmp_path / "cache"))
    return data


def test_the_runtime_is_downloaded_once_and_verified(package: bytes, tmp_path: Path) -> None:
    assert web.find() == package
    (tmp_path / "served").write_bytes(b"something else")
    assert web.find() == package  # from the cache
    (stored,) = (tmp_path / "cache" / "web").iterdir()
    assert web.members(package) == {name: member.encode() for name, member in web.MEMBERS.items()}
    stored.write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"cache/web/onnx.*: is not onnxruntime-web-1.30.0.tgz; save file:"):
        web.find()
    stored.unlink()
    with pytest.raises(UserError, match=r"served: is not onnxruntime-web-1.30.0.tgz; save file:"):
        web.find()
    (tmp_path / "served").unlink()
    with pytest.raises(UserError, match=r"cannot be read .*; save file:"):
        web.find()
    assert not list(stored.parent.iterdir())  # nor a part of it


# ---- the files of the page


def test_the_page_can_load_only_its_own_files() -> None:
    html = (PAGE / "index.html").read_text()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["connect-src"] == "'self'"
    assert rules["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert not re.findall(r"<script(?! type=\"module\" src=\"app.mjs\">)|\son\w+=|style=", html)
    for name, text in {**SCRIPTS, "style.css": (PAGE / "style.css").read_text()}.items():
        assert not re.findall(r"https?:", text), name
        assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(", text), name
        for file in re.findall(r'from "\./([^"]+)"', text):
            assert file in SCRIPTS, name
    ids = re.findall(r'\sid="([\w-]+)"', html)
    used = {each for text in SCRIPTS.values() for each in re.findall(r'\$\("([\w-]+)"\)', text)}
    assert len(ids) == len(set(ids)) and used <= set(ids)
    assert all(line.isascii() or "×" in line or "…" in line for text in SCRIPTS.values() for line in text.splitlines())


# ---- the JavaScript, compared with NumPy and PyTorch

CLASSES = torch.tensor([5.0, 0, 2])
NODE = """
import { writeFileSync } from "node:fs";
import { classOf, latentsOf } from "PAGE/generate.mjs";
import { noisePlanes } from "PAGE/noise.mjs";
import { planesOf, toFloats, toImageData, toPlanes, cropped } from "PAGE/pixels.mjs";
import { thumbnail } from "PAGE/thumbnail.mjs";
import { numberOf } from "PAGE/translate.mjs";

globalThis.ImageData = class {
  constructor(...given) {
    [this.data, this.width, this.height] = given.length === 3 ? given
      : [new Uint8ClampedArray(4 * given[0] * given[1]), ...given];
  }
};
const given = JSON.parse(process.argv[1]), found = {};
const seeds = given.seeds.map(BigInt);
found.latents = latentsOf(seeds, given.latent_dim);
found.classes = Uint8Array.from(seeds, (seed) => classOf(seed, given.class_edges));
found.noise = noisePlanes(20, 30, given.number, [0, 3], 4);
const image = new ImageData(new Uint8ClampedArray(Buffer.from(given.pixels, "base64")), given.width, given.height);
for (const channels of [1, 3, 4]) {
  const planes = planesOf(image, channels), floats = toFloats(planes, 4);
  found[`planes${channels}`] = planes.planes;
  found[`number${channels}`] = Uint32Array.of(numberOf(planes.planes));
  found[`floats${channels}`] = floats.data;
  found[`thumbnail${channels}`] = thumbnail(planes, 64).planes;
  const back = cropped(toPlanes(floats, 0), given.height, given.width);
  found[`back${channels}`] = back.planes;
  found[`image${channels}`] = toImageData(back).data;
}
for (const [name, values] of Object.entries(found)) writeFileSync(name, values);
"""


def test_javascript_computes_what_python_computes(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js on this machine")
    seeds = [0, 1, 42, 2**32, 2**63 - 1]
    rgba = np.random.default_rng(0).integers(0, 256, (37, 90, 4), dtype=np.uint8)
    rgba[:5, :, 3], rgba[5:20, :, 3] = 0, 255
    image = Image.fromarray(rgba)
    given = {"seeds": list(map(str, seeds)), "latent_dim": 400, "number": 2**32 - 5, "width": 90, "height": 37}
    given |= {"class_edges": class_edges(CLASSES), "pixels": base64.b64encode(rgba.tobytes()).decode()}
    code = NODE.replace("PAGE", PAGE.as_uri())
    words = [node, "--input-type=module", "-e", code, json.dumps(given)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    def found(name: str, type: Any = np.uint8) -> np.ndarray:
        return np.fromfile(tmp_path / name, type)

    z = latents(seeds, 400).numpy()
    assert (found("latents", np.float32).reshape(z.shape) == z).all()
    labels = classes_of(seeds, CLASSES)
    assert labels is not None and found("classes").tolist() == labels.tolist()
    noise = noise_planes(TilePosition(0, 0, 20, 30, 2**32 - 5), 20, 30, [0, 3], 4).numpy()
    assert abs(found("noise", np.float32).reshape(noise.shape) - noise).max() < 1e-6
    for channels in (1, 3, 4):
        planes = planes_of(image, channels)
        assert (found(f"planes{channels}").reshape(planes.shape) == planes.numpy()).all()
        assert found(f"number{channels}", np.uint32).item() == crc32(planes.contiguous().numpy().tobytes())
        floats = to_float(pad(planes, 4)[None])[0].numpy()
        assert (found(f"floats{channels}", np.float32).reshape(floats.shape) == floats).all()
        assert (found(f"thumbnail{channels}").reshape(channels, 64, 64) == thumbnail(planes[None], 64).numpy()).all()
        assert (found(f"back{channels}").reshape(planes.shape) == planes.numpy()).all()
        expected = np.array(to_pil_image(planes).convert("RGBA"))
        assert (found(f"image{channels}").reshape(expected.shape) == expected).all()


# ---- the command


@pytest.mark.slow
def test_a_page_of_a_generator(package: bytes, tmp_path: Path, gan_command: Train) -> None:
    pytest.importorskip("onnxscript")
    model = loaded(tmp_path, DCGAN, ("card", "<b>tile</b>"))
    words = "export", "made.ckpt", "--to", "web", "--out", "a page"
    said = gan_command(*words).stdout
    folder = tmp_path / "a page"
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert f"a page: the page is {size / 1e6:.1f} MB; run `python -m http.server -d 'a page'` and open http" in said
    pages = {path.name for path in PAGE.iterdir()}
    models = {"generator.onnx", MODEL}
    assert {path.name for path in folder.iterdir()} == pages | models | {*web.MEMBERS}
    about = json.loads((folder / MODEL).read_text())
    assert about["title"] == "Generated images" and about["kind"] == "generator"
    assert about["classes"] == model.classes and about["class_edges"] == [1, 2] and about["means"] == []
    assert list(about["vectors"]) == ["pca0", "pca1", "pca2", "pca3"]
    assert about["effects"].keys() <= about["vectors"].keys()
    for name in models:
        assert not [word for word in private_words(tmp_path) if word in (folder / name).read_bytes()], name
    error = gan_command(*words, check=2).stderr
    assert "is not empty; use --force to write the page beside its files" in error and error.count("\n") == 1


TRANSLATORS = {
    "lut": [*LUT, "model.generator.num_luts=3"],
    "lut, alpha": [*LUT, "model.generator.num_luts=3", "data.channels=4"],
    "cut, noise": ["model=cut", "data=unpaired", "data.a=a", "data.b=b", "data.size=16", "model.generator.width=4",
                   "model.generator.n_blocks=1", "model.generator.noise=true", "model.discriminator.width=4"],
}  # fmt: skip


def inputs_of(part: Part, planes: torch.Tensor) -> list[torch.Tensor]:
    """Return the inputs that the JavaScript of a page gives to a part, for an image uint8 (C, H, W)."""
    network: Any = part.original
    x = to_float(pad(planes, part.multiple)[None]).contiguous()
    inputs = {"image": x, "sides": torch.tensor([planes.shape[1:]]).float()}
    if "noise" in part.inputs:
        height, width = x.shape[2:]
        place = TilePosition(0, 0, height, width, crc32(planes.contiguous().numpy().tobytes()))
        inputs["noise"] = noise_planes(place, height, width, network.noise_numbers, network.noise_margin)
    if "thumbnail" in part.inputs:
        inputs["thumbnail"] = to_float(thumbnail(planes[None], network.thumbnail_size)).contiguous()
    return [inputs[name] for name in part.inputs]


@pytest.mark.parametrize("name", TRANSLATORS)
def test_the_inputs_of_a_page_give_the_translations_of_gan_translate(name: str, tmp_path: Path) -> None:
    model = loaded(tmp_path, TRANSLATORS[name])
    for parameter in model.network.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3, generator=torch.Generator().manual_seed(0))
    give_start(model.network)
    (part,) = page_parts(model)
    assert part.inputs == ("image", *(("noise", "sides") if "noise" in name else ("thumbnail",)))
    planes = planes_of(Image.effect_noise((50, 33), 90).convert("RGBA"), model.config["data"]["channels"])
    if len(planes) == 4:
        planes = planes * torch.linspace(0, 1, 50)  # premultiplied
        planes = planes.to(torch.uint8)
    with torch.no_grad():
        y = part.network(*inputs_of(part, planes))
    found = to_uint8(y)[0, :, :33, :50]
    assert (found.int() - translate(part.original, planes).int()).abs().max() <= 1
