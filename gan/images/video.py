"""Write videos with PyAV: from images, or from another video whose frames are changed and the rest is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import Image

from gan.common.errors import UserError
from gan.common.files import write_atomically
from gan.data.decoding.reader import MAX_PIXELS

# FFmpeg's container format of each extension
CONTAINERS = {".mp4": "mp4", ".m4v": "ipod", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi"}
READ = "mov,matroska,webm,avi"  # FFmpeg's demuxers for them
LIMITED_RANGE = 1  # default color range
# Constant quality, nearly lossless; no B-frames, whose timestamps AVI gets wrong.
OPTIONS = {"crf": "18", "b": "0", "bf": "0"}


def convert(
    source: Path, target: Path, change: Callable[[Image.Image], Image.Image], max_pixels: int = MAX_PIXELS
) -> None:
    """Change a video frame by frame and write it atomically. Size, rate, timestamps and the first audio track stay.

    Args:
        max_pixels: limit of width * height of a frame; larger files are refused before decoding.

    Raises:
        UserError: PyAV is missing, the file has no readable video, or the video cannot be written.
    """
    av = import_av(source)
    if target.suffix.lower() not in CONTAINERS:
        raise UserError(f"{target}: not a video; use one of {', '.join(CONTAINERS)}")
    kind = CONTAINERS[target.suffix.lower()]
    try:
        with open_video(source, max_pixels) as reader:
            if not reader.streams.video:
                raise UserError(f"{source}: no readable video (it has no frames)")
            head = reader.streams.video[0].codec_context
            if head.width * head.height > max_pixels:
                limit = f"the limit of {max_pixels:,} pixels; change it with --max-pixels"
                raise UserError(f"{source}: {head.width}x{head.height} is more than {limit}")
            head.options = {"max_pixels": str(max_pixels)}  # a later frame may be larger
            write_atomically(target, lambda file: write(reader, file, kind, change))
    except av.InvalidDataError as error:
        raise UserError(f"{source}: no readable video ({error.strerror})") from error
    except (av.FFmpegError, ValueError) as error:
        raise write_error(target, error) from error


def save(images: Iterable[Image.Image], target: Path, rate: Fraction) -> None:
    """Write RGB images of one size as a video with `rate` frames per second, atomically.

    The extension is one of CONTAINERS.

    Raises:
        UserError: PyAV is missing, or cannot write such a video.
    """
    av = import_av(target)
    kind = CONTAINERS[target.suffix.lower()]
    try:
        write_atomically(target, lambda file: encode(images, file, kind, rate))
    except (av.FFmpegError, ValueError) as error:
        raise write_error(target, error) from error


def import_av(path: Path) -> Any:
    try:
        import av
    except ImportError:
        raise UserError(f"{path}: videos need PyAV: pip install -e '.[video]'") from None
    return av


def write_error(target: Path, error: Exception) -> UserError:
    return UserError(f"{target}: cannot be written ({' '.join(str(error).split())})")


def encode(images: Iterable[Image.Image], file: Any, kind: str, rate: Fraction) -> None:
    import av

    with av.open(file, "w", format=kind) as writer:
        stream = None
        for number, image in enumerate(images):
            frame = to_player_format(av.VideoFrame.from_image(image))
            frame.pts, frame.time_base = number, 1 / rate
            stream = stream or add_stream(frame, writer, rate)
            writer.mux(stream.encode(frame))
        if stream is not None:
            writer.mux(stream.encode())


def open_video(source: Path, max_pixels: int = MAX_PIXELS) -> Any:
    """Open a video for reading. Only formats that cannot make FFmpeg open other files or URLs are allowed."""
    import av

    limits = {"format_whitelist": READ, "protocol_whitelist": "file", "max_pixels": str(max_pixels)}
    try:
        return av.open(f"file:{source}", options=limits)
    except av.FFmpegError as error:
        raise UserError(f"{source}: no readable video ({error.strerror})") from error


def write(reader: Any, file: Any, kind: str, change: Callable[[Image.Image], Image.Image]) -> None:
    import av

    with av.open(file, "w", format=kind) as writer:
        copy(reader, writer, change)


def copy(reader: Any, writer: Any, change: Callable[[Image.Image], Image.Image]) -> None:
    """Change all frames and copy all audio packets, in their order."""
    video = reader.streams.video[0]
    sound = reader.streams.audio[0] if reader.streams.audio else None
    written = spoken = None
    early = []  # audio packets before the first frame, whose size the file needs first
    for packet in reader.demux(*filter(None, (video, sound))):
        if packet.stream is sound:
            early.append(packet)
        else:
            for frame in decode_packet(packet):
                after = change_frame(frame, change)
                if written is None:
                    written = add_stream_like(video, after, writer)
                    spoken = writer.add_stream_from_template(sound) if sound is not None else None
                writer.mux(written.encode(after))
        while written is not None and early:
            heard = early.pop(0)
            if heard.dts is not None:
                heard.stream = spoken
                writer.mux(heard)
    if written is not None:
        writer.mux(written.encode())


def decode_packet(packet: Any) -> Any:
    """The frames of a packet; InvalidDataError for any error, such as a frame above max_pixels."""
    import av

    try:
        return packet.decode()
    except av.FFmpegError as error:
        raise av.InvalidDataError(error.errno or 0, error.strerror or str(error)) from error


def change_frame(frame: Any, change: Callable[[Image.Image], Image.Image]) -> Any:
    """Rotate a frame upright and change it; its timestamp and color space stay."""
    image = frame.to_image()
    if frame.rotation:  # counterclockwise, as in Pillow
        image = image.rotate(frame.rotation, expand=True)
    colorspace = frame.colorspace if frame.colorspace != 2 else None
    after = to_player_format(type(frame).from_image(change(image)), colorspace, frame.color_range or LIMITED_RANGE)
    after.pts, after.time_base = frame.pts, frame.time_base
    return after


def to_player_format(frame: Any, colorspace: Any = None, color_range: Any = LIMITED_RANGE) -> Any:
    """Convert a frame to a pixel format that players support."""
    even = frame.width % 2 == frame.height % 2 == 0
    kind = "yuv420p" if even else "yuv444p"  # the former halves the color resolution and needs even sides
    return frame.reformat(format=kind, dst_colorspace=colorspace, dst_color_range=color_range)


def add_stream(frame: Any, writer: Any, rate: Fraction) -> Any:
    """Add a stream for such frames."""
    codec = "libvpx-vp9" if writer.format.name == "webm" else "libx264"
    stream = writer.add_stream(codec, rate=rate, options=OPTIONS)
    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
    return stream


def add_stream_like(source: Any, frame: Any, writer: Any) -> Any:
    """Add a stream for such frames, with the frame rate and tags of another stream."""
    written = add_stream(frame, writer, source.average_rate)
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        setattr(written.codec_context, name, getattr(source.codec_context, name))
    if source.sample_aspect_ratio and not frame.rotation:
        written.sample_aspect_ratio = source.sample_aspect_ratio
    written.time_base = written.codec_context.time_base = source.time_base
    return written
