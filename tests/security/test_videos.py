"""Hostile videos open no other files or URLs, and give a one-line error."""

import json
import shutil
import socket
import threading
from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan.images import video
from tests.conftest import ROOT, run_python

from .conftest import snapshot

pytestmark = pytest.mark.slow

av = pytest.importorskip("av")

SECRET = "secret.mp4"
SCRIPT = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))
from pathlib import Path
from gan.data.decoding.pool import IsolatedProcess
from gan.data.decoding.reader import MAX_PIXELS
from gan.images import video
from gan.utils.errors import UserError
said = {}
with IsolatedProcess() as apart:
    for path in sorted(Path(sys.argv[1]).iterdir()):
        try:
            video.convert(path, Path(sys.argv[2], path.name), lambda image: image, apart, MAX_PIXELS)
        except UserError as error:
            said[path.name] = str(error)
print(json.dumps(said))
"""


def clip(path: Path, size: tuple[int, int] = (32, 24), frames: int = 5) -> bytes:
    random = np.random.default_rng(0)
    images = (Image.fromarray(random.integers(0, 256, (*size[::-1], 3), np.uint8)) for _ in range(frames))
    video.save_video(images, path, Fraction(10))
    return path.read_bytes()


def sound(path: Path) -> bytes:
    with av.open(str(path), "w") as writer:
        stream = writer.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        writer.mux(stream.encode(frame))
        writer.mux(stream.encode())
    return path.read_bytes()


def wide(path: Path) -> bytes:
    """Return a video whose header declares 16,000 x 16,000 pixels, in both places."""
    with av.open(str(path), "w", format="avi") as writer:
        stream = writer.add_stream("rawvideo", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        writer.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (32, 24))).reformat(format="yuv420p")))
    return path.read_bytes().replace(sides(32, 24), sides(16_000, 16_000))


def sides(width: int, height: int) -> bytes:
    return width.to_bytes(4, "little") + height.to_bytes(4, "little")


def growing(path: Path) -> bytes:
    """Return a video of small frames whose last frame is above the limit."""
    with av.open(str(path), "w", format="avi") as writer:
        stream = writer.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuvj420p"
        for number in range(300):
            file = BytesIO()
            Image.new("RGB", (32, 24) if number < 299 else (9000, 9000)).save(file, "JPEG")
            packet = av.Packet(file.getvalue())
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 10)
            writer.mux(packet)
    return path.read_bytes()


def playlist(address: str) -> bytes:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{address}\n#EXT-X-ENDLIST\n".encode()


HOSTILE: dict[str, Callable[[Path, str], bytes]] = {  # from a place for a file, and an address
    "cut.mp4": lambda path, _: clip(path)[:600],
    "sound alone.mp4": lambda path, _: sound(path),
    "no frames.mp4": lambda path, _: clip(path, frames=0),
    "wide.avi": lambda path, _: wide(path),
    "growing.avi": lambda path, _: growing(path),
    "unknown codec.mkv": lambda path, _: clip(path).replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/XXX"),
    "noise.mp4": lambda path, _: np.random.default_rng(0).bytes(100_000),
    "playlist of a file.mp4": lambda path, _: playlist(SECRET),
    "playlist of a file.avi": lambda path, _: playlist(f"file://{path.parent / SECRET}"),
    "playlist of an address.mp4": lambda path, address: playlist(f"http://{address}/x.ts"),
    "playlist of playlists.mkv": lambda path, address: playlist(f"http://{address}/x.m3u8"),
    "concat.mp4": lambda path, _: f"ffconcat version 1.0\nfile '{SECRET}'\n".encode(),
    "dash.mp4": lambda path, address: (
        f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet '
        f'mimeType="video/mp4"><Representation id="1"><BaseURL>http://{address}/x.mp4</BaseURL></Representation>'
        f"</AdaptationSet></Period></MPD>".encode()
    ),
    "session.mov": lambda path, address: (
        f"v=0\no=- 0 0 IN IP4 {address.split(':')[0]}\nm=video 9 RTP/AVP 96\n".encode()
    ),
    "redirect.mp4": lambda path, address: f"[Reference]\nRef1=http://{address}/x.mp4\n".encode(),
}


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the errors of all of them by name: nothing is written, no client connects, and no other file is read."""
    folder, calls = tmp_path_factory.mktemp("hostile"), []
    (folder / "in").mkdir()
    clip(folder / SECRET)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def wait() -> None:
            try:
                while True:
                    server.accept()[0].close()
                    calls.append(True)
            except OSError:
                pass

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        for name, made in HOSTILE.items():
            data = made(folder / name, "{}:{}".format(*server.getsockname()))
            (folder / name).unlink(missing_ok=True)
            (folder / "in" / name).write_bytes(data)
        shutil.copy(folder / SECRET, folder / "in" / SECRET)  # beside those that name it
        before = snapshot(folder)
        result = run_python(["-c", SCRIPT, str(folder / "in"), str(folder / "out")], ROOT)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert result.returncode == 0 and "Traceback" not in result.stderr, result.stderr
    assert before.items() <= snapshot(folder).items() and calls == []
    assert [path.name for path in (folder / "out").iterdir()] == [SECRET]
    errors: dict[str, str] = json.loads(result.stdout.splitlines()[-1])
    return errors


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_video_is_one_line(name: str, errors: dict[str, str]) -> None:
    assert name in errors[name] and "\n" not in errors[name]


@pytest.mark.parametrize(
    "name", ["file:x.mp4", "http:x.mp4", "concat:secret.mp4|secret.mp4", "subfile,,start,0,,:x.mp4"]
)
def test_a_name_is_a_name_and_no_protocol(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plain.mp4").write_bytes(clip(tmp_path / SECRET))
    Path("plain.mp4").rename(name)
    video.convert(Path(name), Path("out.mp4"), lambda image: image, lambda call, *words: call(*words), 10_000)
    assert Path("out.mp4").exists()
