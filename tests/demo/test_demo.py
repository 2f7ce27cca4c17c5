"""The demo page, without a browser and in one: its calls, its limits, and what it refuses to serve."""

import asyncio
import contextlib
import io
import itertools
import json
import os
import shutil
import socket
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import torch
import uvicorn
from PIL import Image

from gan.cli import main
from gan.demo import server
from gan.demo.server import Gate
from gan.runs import checkpoints
from gan.runs.checkpoint_io import AtomicCheckpointIO
from gan.utils.errors import UserError
from tests.browser import Faults, browser
from tests.conftest import Train
from tests.made_run import made
from tests.patience import PATIENCE
from tests.security.checkpoints import DCGAN, LUT, STYLEGAN2, checkpoint
from tests.served_demo import Demo, demo

CLASSES = ("poster", "neon")
ANY, FORWARD = "any class", "to the target style"
PIXELS = {"cell": 1, "palette": "all colors", "dither": "none", "autocontrast": "auto"}
ATTRIBUTES = 5  # sliders
DIRECTIONS = 2
POSITIONS = 3
needs_gradio = pytest.mark.skipif(find_spec("gradio") is None, reason="gradio")


def photo(width: int = 48, height: int = 31, form: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.radial_gradient("L").resize((width, height)).convert("RGB").save(file, form)
    return file.getvalue()


def zipped(**files: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), data)
    return file.getvalue()


def sliders(directions: int = DIRECTIONS, **values: float) -> list[Any]:
    """Return the values of the sliders: nothing is kept constant."""
    names = ["brightness", "contrast", "saturation", "warmth", "sharpness", "sefa0", "sefa1"][: ATTRIBUTES + directions]
    names += ["zoom", "shift_x", "shift_y"]
    return [[], *(values.get(name, 0) for name in names)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two runs, of which the first has classes and directions, and a translator."""
    made_in = tmp_path_factory.mktemp("demo")
    for name, options, classes in (("run", DCGAN, CLASSES), ("style", STYLEGAN2, ())):
        run = made(made_in / name)
        shutil.rmtree(run / "checkpoints")
        AtomicCheckpointIO().save_checkpoint(checkpoint(options, classes), checkpoints.checkpoint_path(run, 64))
    torch.save(checkpoint([*LUT, "data.size=32"]), made_in / "lut.ckpt")
    with contextlib.chdir(made_in), contextlib.redirect_stdout(io.StringIO()):
        assert main(["directions", "run", "--sefa", str(DIRECTIONS), "--pca", "0"]) == 0
    return made_in


@pytest.fixture(scope="module")
def page(folder: Path) -> Iterator[Demo]:
    with demo("run", "style", "lut.ckpt", folder=folder) as running:
        yield running
        assert running.stop().endswith("stopped\n") and running.process.returncode == 0


@pytest.fixture
def command(folder: Path, tmp_path: Path) -> Any:
    """Run a `gan` command in the folder, and return the bytes of a file that it writes; `out` is its value of --out."""
    count = itertools.count()

    def run(*words: str, file: str, out: str = ".") -> bytes:
        fresh = tmp_path / str(next(count))
        with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
            assert main([*words, "--out", str(fresh / out)]) == 0
        return (fresh / file).read_bytes()

    return run


@needs_gradio
@pytest.mark.slow
class TestCalls:
    def test_generated_files_are_those_of_gan_generate(self, page: Demo, command: Any) -> None:
        images, archive = page.call("generate", "0-2", "neon", 1, True)
        found = {each["image"]["orig_name"]: page.read(each["image"]) for each in images}
        assert list(found) == ["grid.png", "0.png", "1.png", "2.png"]
        for name, data in found.items():
            words = ("generate", "run", "--seeds", "0-2", "--class", "neon", "--grid")
            assert data == command(*words, file=name)
        with zipfile.ZipFile(io.BytesIO(page.read(archive))) as files:
            assert {name: files.read(name) for name in files.namelist()} == found
        assert len(set(found.values())) == 4  # another seed, another image

    def test_truncation(self, page: Demo, command: Any) -> None:
        (image,), _ = page.call("generate_2", "3", ANY, 0.5, False)
        words = ("generate", "style", "--seeds", "3", "--truncation", "0.5")
        assert page.read(image["image"]) == command(*words, file="3.png")

    def test_sliders_give_the_bytes_of_gan_edit(self, page: Demo, command: Any) -> None:
        image = page.call("edit", 4, ANY, *sliders())[0]
        assert page.read(image) == command("generate", "run", "--seeds", "4", file="4.png")
        image = page.call("edit", 4, "poster", *sliders(brightness=0.5, sefa1=2))[0]
        words = ("edit", "run", "--seeds", "4", "--class", "poster", "--set", "brightness=0.5", "sefa1=2")
        assert page.read(image) == command(*words, file="4.png")

    def test_animations_are_those_of_gan_interpolate(self, page: Demo, command: Any) -> None:
        image = page.call("interpolate", "0-1", ANY, 3, 10, True, 1)[0]
        words = ("interpolate", "run", "--seeds", "0-1", "--frames", "3", "--fps", "10", "--loop", "--scale", "16")
        assert page.read(image) == command(*words, file="made.gif", out="made.gif")

    def test_an_image_is_projected_and_edited(self, page: Demo) -> None:
        file = page.upload("my photo.jpg", photo())
        target, _, said = page.call("project", file, 10, ANY, session="projecting")
        assert Image.open(io.BytesIO(page.read(target))).size == (16, 16)
        assert said.startswith("Similarity to your image: PSNR ")
        image = page.call("edit_projected", *sliders(brightness=0.5), session="projecting")[0]
        assert b"brightness" in page.read(image)
        assert page.call("edit_projected", *sliders()) == (
            "there is no projected image yet: upload an image, then press Project"
        )

    def translate(self, page: Demo, *files: Any, **changed: Any) -> Any:
        given = {"direction": FORWARD, "strength": 1} | PIXELS
        return page.call("translate_3", list(files), *(given | changed).values())

    def test_photographs_come_back_in_their_size_and_format(self, page: Demo) -> None:
        archive = zipped(a__one_png=photo(20, 30, "PNG"), b__one_png=photo(30, 20, "PNG"), readme_txt=b"x")
        files = page.upload("photo.jpg", photo()), page.upload("more.zip", archive)
        (before, after), gallery, _, download, said = self.translate(page, *files)
        assert Image.open(io.BytesIO(page.read(before))).size == (48, 31) and not said
        translated = Image.open(io.BytesIO(page.read(after)))
        assert translated.size == (48, 31) and translated.format == "JPEG"
        assert [each["caption"] for each in gallery] == ["photo.jpg", "one.png", "one-2.png"]
        with zipfile.ZipFile(io.BytesIO(page.read(download))) as made_zip:
            sizes = {name: Image.open(made_zip.open(name)).size for name in made_zip.namelist()}
        assert sizes == {"photo.jpg": (48, 31), "one.png": (20, 30), "one-2.png": (30, 20)}

    def test_pixel_art_and_strength(self, page: Demo) -> None:
        file = page.upload("photo.png", photo(form="PNG"))
        (_, after), *_ = self.translate(page, file, cell=4, palette="gameboy")
        pixels = Image.open(io.BytesIO(page.read(after))).convert("RGB")
        assert len(pixels.getcolors()) <= 4
        (before, after), *_ = self.translate(page, file, strength=0)
        assert Image.open(io.BytesIO(page.read(after))).tobytes() == Image.open(io.BytesIO(page.read(before))).tobytes()
        said = self.translate(page, file, strength=0.5, palette="gameboy")
        assert said == "a palette needs Strength 1; set Strength to 1, or Palette to 'all colors'"

    def test_uploads_that_are_refused(self, page: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
        png = photo(form="PNG")
        bomb = png[:16] + (200_000).to_bytes(4, "big") * 2 + png[24:]  # the size in the header
        said = self.translate(page, page.upload("bomb.png", bomb))
        assert said.startswith("no image could be changed: bomb.png: ") and "/" not in said
        assert "damaged" in self.translate(page, page.upload("text.jpg", b"no image"))
        assert "neither an image nor a zip archive" in self.translate(page, page.upload("model.ckpt", b"x"))
        assert "cannot be read as a zip archive" in self.translate(page, page.upload("broken.zip", b"PK"))
        many = page.upload("many.zip", zipped(**{f"n{n}_png": png for n in range(51)}))
        assert "51 images are too many; upload at most 50 at a time" in self.translate(page, many)
        large = page.upload("large.zip", zipped(large_png=bytes((256 << 20) + 1)))
        assert "unpacked; the limit is" in self.translate(page, large)
        both = page.upload("good.png", png), page.upload("text.jpg", b"no image")
        _, gallery, _, _, said = self.translate(page, *both)
        assert len(gallery) == 1 and said.startswith("1 of 2 files could not be changed:\n- text.jpg: ")

    @pytest.mark.parametrize(
        ("name", "data", "said"),
        [
            ("generate", ["0-99", ANY, 1, False], "Seeds 0-99: too many seeds; give at most 64"),
            ("generate", ["<img src=x>", ANY, 1, False], "&lt;img src=x&gt;"),
            ("generate", ["0", ANY, float("nan"), False], "Truncation nan: give a number from -2 to 2"),
            ("edit", [0, ANY, ["path"], *sliders()[1:]], "Keep constant path: did you mean"),
            ("interpolate", ["0-9", ANY, 100, 10, True, 1], "are more than 60 million pixels; give"),
            ("project", [None, 10, ANY], "no file: drop images"),
        ],
    )
    def test_values_out_of_range_are_refused(self, name: str, data: list[Any], said: str, page: Demo) -> None:
        assert said in page.call(name, *data)

    def test_the_training_of_a_run_and_its_end(self, page: Demo, folder: Path) -> None:
        html = page.call("training")[0]
        assert "KID × 1,000" in html and "data:image/svg" in html and "Health" in html and "data:image/webp" in html
        (folder / "run").rename(folder / "gone")
        try:
            assert "run: the run folder is no longer there" in page.call("training")[0]
            assert len(page.call("generate", "0", ANY, 1, False)[0]) == 1
        finally:
            (folder / "gone").rename(folder / "run")


@needs_gradio
@pytest.mark.slow
class TestSecurity:
    def test_only_files_of_the_page_are_served(self, page: Demo, folder: Path) -> None:
        (image,), _ = page.call("generate", "0", ANY, 1, False)
        path = image["image"]["path"]
        inside = Path(path).parent
        ckpt = next((folder / "run").glob("checkpoints/*.ckpt"))
        (inside / "link.png").symlink_to("/etc/hostname")
        foreign = ["/etc/passwd", str(ckpt), str(folder / "run" / "config.yaml"), "run/config.yaml", "config.yaml"]
        foreign += [f"{path}/../../../../../../../etc/passwd", f"{inside}/../../etc/passwd", "", ".", "..", str(inside)]
        foreign += [str(inside / "link.png"), "http://127.0.0.1:1/x", "http://169.254.169.254/", "file:///etc/passwd"]
        for each in foreign:
            for written in (each, quote(each, safe=""), quote(quote(each, safe=""), safe="")):
                answer = page.get("/gradio_api/file=" + written.replace(" ", "%20"))
                assert answer.status in (403, 404), each
            file = {"path": each, "meta": {"_type": "gradio.FileData"}}
            assert page.call("project", file, 10, ANY) == "this file is not served"  # nor read
        assert page.get("/gradio_api/file=" + path).status == 200

    def test_other_routes_of_gradio_are_closed(self, page: Demo, folder: Path) -> None:
        for path in ("/gradio_api/run/generate", "/gradio_api/api/generate", "/gradio_api/component_server",
                     "/gradio_api/vibe-edit", "/gradio_api/process_recording", "/gradio_api/run-history/connect",
                     "/gradio_api/stream/x", "/monitoring"):  # fmt: skip
            assert page.post(path, b"{}").status == 404, path
        for path in ("/monitoring", "/gradio_api/proxy=http://127.0.0.1:1/", "/gradio_api/deep_link?session_hash=x",
                     "/docs", "/openapi.json", "/gradio_api/openapi.json", "/gradio_api/runs", "/gradio_api/vibe-code/",
                     "/gradio_api/dev/reload", "/static/../../../etc/passwd", "/gradio_api/custom_component/a/b/c/d",
                     "/gradio_api/file/etc/passwd"):  # fmt: skip
            assert page.get(path).status in (403, 404), path
        for path in ("/", "/config", "/gradio_api/info"):
            said = page.get(path)
            assert said.status == 200 and str(folder).encode() not in said.body

    def test_a_hundred_calls_at_once(self, page: Demo) -> None:
        with ThreadPoolExecutor(100) as pool:
            said = list(pool.map(lambda n: page.call("generate", str(n), ANY, 1, False), range(100)))
        assert sum(isinstance(each, list) for each in said) >= 40
        assert all("full" in each for each in said if isinstance(each, str))


def answered(gate: Gate, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    """Return status and body of a request that goes through a gate."""
    parts: list[Any] = []
    given = {"host": "localhost", "content-length": str(len(body)), **headers}
    scope = {"type": "http", "method": method, "path": path, "query_string": b"",
             "headers": [(name.encode(), value.encode()) for name, value in given.items()]}  # fmt: skip

    async def receive_body() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        parts.append(message)

    asyncio.run(gate(scope, receive_body, send))
    return parts[0]["status"], b"".join(part.get("body", b"") for part in parts[1:])


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """An application that returns the body of a request."""
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def test_the_gate_forwards_calls_and_refuses_the_rest(tmp_path: Path) -> None:
    gate = Gate(echo, tmp_path, print)
    (tmp_path / "a.png").write_bytes(b"x")
    join = "/gradio_api/queue/join"
    assert answered(gate, "POST", join, b'{"data": []}') == (200, b'{"data": []}')
    inside = json.dumps({"data": [{"path": str(tmp_path / "a.png")}]}).encode()
    assert answered(gate, "POST", join, inside)[0] == 200
    for body in (b'{"data": [{"x": [{"path": "/etc/passwd"}]}]}', inside.replace(b"a.png", b"../a.png"),
                 b'{"path": "http://x/"}', b'{"path": "a\\u0000b"}'):  # fmt: skip
        assert answered(gate, "POST", join, body)[0] == 403
    assert answered(gate, "POST", join, b"no JSON")[0] == 400
    assert answered(gate, "PUT", join)[0] == 404 and answered(gate, "GET", "/gradio_api/proxy=x")[0] == 404
    assert answered(gate, "POST", join, b"{}", host="other.example")[0] == 403
    assert answered(Gate(echo, tmp_path, print, any_host=True), "POST", join, b"{}", host="other.example")[0] == 200
    assert answered(gate, "POST", join, b"{}", **{"content-length": "-1"})[0] == 413
    for site, status in (("same-origin", 200), ("none", 200), ("cross-site", 403), ("same-site", 403)):
        for path in (join, "/gradio_api/upload"):
            assert answered(gate, "POST", path, b"{}", **{"sec-fetch-site": site})[0] == status
    for page, status in (("http://evil.example", 403), ("null", 403), ("http://localhost:7860", 200)):
        assert answered(gate, "POST", join, b"{}", host="localhost:7860", origin=page)[0] == status


@pytest.mark.parametrize(
    "begun", [b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"]
)
def test_a_connection_without_a_complete_request_is_closed(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.5)
    listener = server.listen("127.0.0.1", None)
    run = uvicorn.Server(uvicorn.Config(echo, log_level="critical", http=server.TimedProtocol, lifespan="off"))
    thread = threading.Thread(target=run.run, kwargs={"sockets": [listener]})
    thread.start()
    with socket.create_connection(listener.getsockname()[:2], PATIENCE) as silent:
        silent.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert silent.recv(1000).startswith(b"HTTP/1.1 200")
        silent.sendall(begun)
        while silent.recv(1000):
            pass
    run.should_exit = True
    thread.join()


def test_what_visitors_store_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gradio")
    from gan.demo import calls

    monkeypatch.setattr(calls, "MAX_STORED", 10_000)
    monkeypatch.setattr(server, "MAX_UPLOAD", 2000)
    context = calls.Context(tmp_path)
    gate = Gate(echo, tmp_path, context.make_room, any_host=True)
    paths = [Path(context.keep(bytes([n]) * 1000, "0.png")) for n in range(25)]
    for age, path in enumerate(reversed(paths[15:])):
        os.utime(path, (1e9 - age, 1e9 - age))
    assert [path.exists() for path in paths] == [False] * 15 + [True] * 10 and len(os.listdir(tmp_path)) == 10
    assert answered(gate, "POST", "/gradio_api/upload", bytes(2000))[0] == 200
    assert [path.exists() for path in paths] == [False] * 17 + [True] * 8  # the oldest are removed
    assert answered(gate, "POST", "/gradio_api/upload", bytes(2001))[0] == 413
    gate.uploads = server.MAX_UPLOADS
    assert answered(gate, "POST", "/gradio_api/upload", b"x")[0] == 503
    gate.uploads = 0
    monkeypatch.setattr(calls, "MAX_STORED_FILES", 5)
    context.keep(b"x", "0.png")
    assert len(os.listdir(tmp_path)) == 5
    context.close()


def test_the_port() -> None:
    with server.listen("127.0.0.1", None) as first, server.listen("127.0.0.1", None) as second:
        port = first.getsockname()[1]
        assert server.address(first) == f"http://127.0.0.1:{port}" and second.getsockname()[1] != port
        with pytest.raises(UserError, match=f"--port {port}: is taken; give another"):
            server.listen("127.0.0.1", port)
    with pytest.raises(UserError, match=r"--host 192\.0\.2\.1: is not an address of this machine; leave it out"):
        server.listen("192.0.2.1", None)  # an address for documentation


def test_errors_of_the_command(gan_command: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def error(*words: str) -> str:
        return gan_command("demo", *words, check=2).stderr

    assert "no such run folder or checkpoint" in error("missing")
    assert "look:film: no such run folder or checkpoint" in error("look:film")
    made(tmp_path / "runs" / "cards")
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setattr("gan.commands.demo.find_spec", lambda name: None)
    assert error() == "error: gan demo needs Gradio: pip install 'retro-gan[demo]'\n"


@needs_gradio
@pytest.mark.slow
def test_the_page_in_a_browser(page: Demo, command: Any) -> None:
    with browser() as chromium:
        tab, faults = chromium.new_page(viewport={"width": 1280, "height": 900}), Faults()
        tab.set_default_timeout(1000 * PATIENCE)
        faults.watch(tab)

        def open_tab(name: str) -> None:
            tab.get_by_role("tab", name=name, exact=True).locator("visible=true").click()

        def press(name: str) -> None:
            tab.get_by_role("button", name=name, exact=True).locator("visible=true").click()

        def wait(where: str, expected: Callable[[list[bytes]], bool]) -> None:
            """Wait until the files of the visible images in an element are as expected."""
            script = "where => [...document.querySelectorAll(where)].filter(e => e.offsetParent).map(e => e.src)"
            for _ in range(200):
                shown = tab.evaluate(script, f"{where} img")
                if expected([page.get("/" + address.split("/", 3)[3]).body for address in shown]):
                    return
                tab.wait_for_timeout(100)
            raise AssertionError("nothing came")

        tab.goto(page.address)
        wait(".grid-container", lambda files: len(files) == 16)
        tab.get_by_label("Seeds").first.fill("30-31")
        press("Generate")
        seeds = [command("generate", "run", "--seeds", seed, file=f"{seed}.png") for seed in ("30", "31", "0")]
        wait(".grid-container", lambda files: files == seeds[:2])

        open_tab("Edit")
        brightness = tab.get_by_label("number input for brightness").locator("visible=true").first  # of Attributes
        brightness.fill("1")
        brightness.blur()
        wait(".pixels", lambda files: any(b"brightness" in data for data in files))
        press("Set all to zero")
        wait(".pixels", lambda files: files == seeds[2:])

        open_tab("Training")
        tab.wait_for_selector("img.chart")

        open_tab("lut.ckpt")
        press("Translate")
        tab.get_by_text("Upload images or a zip archive first.").locator("visible=true").wait_for()
        assert not tab.get_by_text("Error", exact=True).locator("visible=true").count()
        upload = {"name": "photo.png", "mimeType": "image/png", "buffer": photo(form="PNG")}
        tab.locator("input[type=file]").last.set_input_files([upload])
        tab.get_by_label("Clear").locator("visible=true").wait_for()  # the upload is complete
        press("Translate")
        tab.get_by_role("button", name="Download photo.png").wait_for()
        box = tab.get_by_label("range slider for Strength").locator("visible=true").bounding_box()
        tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        tab.mouse.down()
        tab.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2, steps=5)
        tab.wait_for_selector("img[src*='small.png']")  # while it is dragged
        tab.mouse.up()
        tab.wait_for_selector("img[src*='small.png']", state="detached")  # changed again
        assert not faults
