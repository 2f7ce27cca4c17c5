"""Videos through PyAV: of pictures, or of another video whose pictures change while all else stays."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import Image

from gan.common.errors import UserError
from gan.common.files import write_atomically
from gan.data.decoding.reader import MAX_PIXELS

# FFmpeg's names of what a file's ending says.
CONTAINERS = {".mp4": "mp4", ".m4v": "ipod", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi"}
READ = "mov,matroska,webm,avi"  # FFmpeg's demuxers of these
LIMITED = 1  # range of levels, where a video says nothing of it
# Constant quality, hardly to be told from the picture; no frames that depend on later ones, whose times AVI gets wrong.
OPTIONS = {"crf": "18", "b": "0", "bf": "0"}


def convert(
    source: Path, target: Path, change: Callable[[Image.Image], Image.Image], max_pixels: int = MAX_PIXELS
) -> None:
    """Write a video frame by frame changed, whole or not at all: size, rate, times and the first sound track stay.

    Args:
        max_pixels: width * height of a frame, above which the file is refused before one is decoded.

    Raises:
        UserError: PyAV is missing, the file holds no video that can be read, or it cannot be written.
    """
    av = library(source)
    if target.suffix.lower() not in CONTAINERS:
        raise UserError(f"{target}: a video becomes a video, {', '.join(CONTAINERS)}")
    kind = CONTAINERS[target.suffix.lower()]
    try:
        with opened(source, max_pixels) as reader:
            if not reader.streams.video:
                raise UserError(f"{source}: no video that can be read (it has no pictures)")
            head = reader.streams.video[0].codec_context
            if head.width * head.height > max_pixels:
                limit = f"the limit of {max_pixels:,} pixels; --max-pixels sets another"
                raise UserError(f"{source}: {head.width}x{head.height} is more than {limit}")
            head.options = {"max_pixels": str(max_pixels)}  # a later frame may say that it is larger
            write_atomically(target, lambda file: write(reader, file, kind, change))
    except av.InvalidDataError as error:
        raise UserError(f"{source}: no video that can be read ({error.strerror})") from error
    except (av.FFmpegError, ValueError) as error:
        raise cannot(target, error) from error


def save(pictures: Iterable[Image.Image], target: Path, rate: Fraction) -> None:
    """Write RGB pictures of one size as a video of so many a second, whole or not at all; its ending is one of KINDS.

    Raises:
        UserError: PyAV is missing, or cannot write such a video.
    """
    av = library(target)
    kind = CONTAINERS[target.suffix.lower()]
    try:
        write_atomically(target, lambda file: encode(pictures, file, kind, rate))
    except (av.FFmpegError, ValueError) as error:
        raise cannot(target, error) from error


def library(path: Path) -> Any:
    try:
        import av
    except ImportError:
        raise UserError(f"{path}: videos need PyAV: pip install -e '.[video]'") from None
    return av


def cannot(target: Path, error: Exception) -> UserError:
    return UserError(f"{target}: cannot be written ({' '.join(str(error).split())})")


def encode(pictures: Iterable[Image.Image], file: Any, kind: str, rate: Fraction) -> None:
    import av

    with av.open(file, "w", format=kind) as writer:
        stream = None
        for number, picture in enumerate(pictures):
            frame = suited(av.VideoFrame.from_image(picture))
            frame.pts, frame.time_base = number, 1 / rate
            stream = stream or stream_of(frame, writer, rate)
            writer.mux(stream.encode(frame))
        if stream is not None:
            writer.mux(stream.encode())


def opened(source: Path, max_pixels: int = MAX_PIXELS) -> Any:
    """The video to read, of one of KINDS and in this file alone: others name files and addresses that FFmpeg opens."""
    import av

    limits = {"format_whitelist": READ, "protocol_whitelist": "file", "max_pixels": str(max_pixels)}
    try:
        return av.open(f"file:{source}", options=limits)
    except av.FFmpegError as error:
        raise UserError(f"{source}: no video that can be read ({error.strerror})") from error


def write(reader: Any, file: Any, kind: str, change: Callable[[Image.Image], Image.Image]) -> None:
    import av

    with av.open(file, "w", format=kind) as writer:
        copy(reader, writer, change)


def copy(reader: Any, writer: Any, change: Callable[[Image.Image], Image.Image]) -> None:
    """All frames changed, all packets of sound as they are, in the order in which they come."""
    picture = reader.streams.video[0]
    sound = reader.streams.audio[0] if reader.streams.audio else None
    written = spoken = None
    early = []  # packets of sound before the first frame, whose size the file must know first
    for packet in reader.demux(*filter(None, (picture, sound))):
        if packet.stream is sound:
            early.append(packet)
        else:
            for frame in frames_of(packet):
                after = changed(frame, change)
                if written is None:
                    written = stream_like(picture, after, writer)
                    spoken = writer.add_stream_from_template(sound) if sound is not None else None
                writer.mux(written.encode(after))
        while written is not None and early:
            heard = early.pop(0)
            if heard.dts is not None:
                heard.stream = spoken
                writer.mux(heard)
    if written is not None:
        writer.mux(written.encode())


def frames_of(packet: Any) -> Any:
    """The frames of a packet; InvalidDataError whatever is wrong with it, such as a size above max_pixels."""
    import av

    try:
        return packet.decode()
    except av.FFmpegError as error:
        raise av.InvalidDataError(error.errno or 0, error.strerror or str(error)) from error


def changed(frame: Any, change: Callable[[Image.Image], Image.Image]) -> Any:
    """The frame upright and changed, with the time and the color space that it had."""
    image = frame.to_image()
    if frame.rotation:  # anticlockwise, as Pillow turns
        image = image.rotate(frame.rotation, expand=True)
    colorspace = frame.colorspace if frame.colorspace != 2 else None
    after = suited(type(frame).from_image(change(image)), colorspace, frame.color_range or LIMITED)
    after.pts, after.time_base = frame.pts, frame.time_base
    return after


def suited(frame: Any, colorspace: Any = None, color_range: Any = LIMITED) -> Any:
    """The frame as players take it."""
    even = frame.width % 2 == frame.height % 2 == 0
    kind = "yuv420p" if even else "yuv444p"  # the former halves colors, and takes even sides alone
    return frame.reformat(format=kind, dst_colorspace=colorspace, dst_color_range=color_range)


def stream_of(frame: Any, writer: Any, rate: Fraction) -> Any:
    """A stream for frames like this."""
    codec = "libvpx-vp9" if writer.format.name == "webm" else "libx264"
    stream = writer.add_stream(codec, rate=rate, options=OPTIONS)
    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
    return stream


def stream_like(picture: Any, frame: Any, writer: Any) -> Any:
    """A stream for frames like this, with the rate and the tags of another."""
    written = stream_of(frame, writer, picture.average_rate)
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        setattr(written.codec_context, name, getattr(picture.codec_context, name))
    if picture.sample_aspect_ratio and not frame.rotation:
        written.sample_aspect_ratio = picture.sample_aspect_ratio
    written.time_base = written.codec_context.time_base = picture.time_base
    return written
