"""Videos frame by frame, through PyAV: the picture changes, and its size, rate, times and the sound stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from gan.errors import UserError

ENDINGS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
QUALITY = "18"  # of x264 and VP9: constant, hardly to be told from the picture


def convert(source: Path, target: Path, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Write a changed video, whole or not at all; its first frame as it was comes back.

    Raises:
        UserError: PyAV is missing, or the file holds no video that can be read.
        OSError: it cannot be written.
    """
    try:
        import av
    except ImportError:
        raise UserError(f"{source}: videos need PyAV: pip install -e '.[video]'") from None
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.tmp{target.suffix}")
    try:
        with av.open(str(source)) as reader, av.open(str(temporary), "w") as writer:
            first = copied(reader, writer, change)
        temporary.replace(target)
    except (av.FFmpegError, IndexError) as error:
        if isinstance(error, OSError) and error.errno == 28:  # no space left
            raise
        raise UserError(f"{source}: no video that can be read ({' '.join(str(error).split())})") from error
    finally:
        temporary.unlink(missing_ok=True)
    return first


def copied(reader: Any, writer: Any, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    picture = reader.streams.video[0]
    sound = reader.streams.audio[0] if reader.streams.audio else None
    even = picture.width % 2 == picture.height % 2 == 0
    codec = "libvpx-vp9" if writer.format.name == "webm" else "libx264"
    written = writer.add_stream(codec, rate=picture.average_rate, options={"crf": QUALITY, "b": "0"})
    written.width, written.height = picture.width, picture.height
    written.pix_fmt = "yuv420p" if even else "yuv444p"  # the former halves colours, and takes even sides alone
    written.time_base = written.codec_context.time_base = picture.time_base
    spoken = writer.add_stream_from_template(sound) if sound is not None else None
    first = None
    for packet in reader.demux(*filter(None, (picture, sound))):
        if packet.stream is sound:
            if packet.dts is not None:
                packet.stream = spoken
                writer.mux(packet)
            continue
        for frame in packet.decode():
            before = frame.to_image()
            first = first or before
            after = type(frame).from_image(change(before))
            after.pts, after.time_base = frame.pts, frame.time_base
            writer.mux(written.encode(after))
    writer.mux(written.encode())
    if first is None:
        raise IndexError("no frame")
    return first
