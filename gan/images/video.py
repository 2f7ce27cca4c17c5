"""Write animations and videos: GIF, WebP and APNG with Pillow, videos with PyAV, also from another video."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from gan.data.decoding.reader import ImageError, composite
from gan.images.files import WHITE, encode, save_options
from gan.utils.errors import UserError, install, reason, to_line
from gan.utils.files import write_atomically, write_bytes
from gan.utils.processes import available_memory

if TYPE_CHECKING:
    from torch import Tensor

# FFmpeg's container format of each extension
CONTAINERS = {".mp4": "mp4", ".m4v": "ipod", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi"}
READ = "mov,matroska,webm,avi"  # FFmpeg's demuxers for these containers
LIMITED_RANGE = 1  # default color range
# Constant quality, nearly lossless. No B-frames, because their timestamps are wrong in AVI.
CODEC_OPTIONS = {"crf": "18", "b": "0", "bf": "0"}
# Pillow's format of each extension, and its options. `disposal`: each frame replaces the previous one, also in
# transparent areas.
ANIMATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    ".gif": ("GIF", {"disposal": 2}),
    ".webp": ("WEBP", {"lossless": True}),
    ".png": ("PNG", {"disposal": 1}),
}
FRAME_BYTES = 12  # memory of a pixel while a model generates all frames
ENCODED_BYTES = 6  # memory of an enlarged pixel while Pillow encodes all frames, measured for GIF
SUFFIXES = (*ANIMATIONS, *CONTAINERS)


def check(path: Path, pixels: int = 0, scale: int = 1) -> None:
    """Raise UserError if the extension is not one of SUFFIXES, or an animation of `pixels` does not fit into memory."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: not an animation; use one of the extensions {', '.join(SUFFIXES)}")
    encoded = 0 if path.suffix.lower() in CONTAINERS else ENCODED_BYTES * scale**2  # videos are written frame by frame
    if (needed := pixels * (FRAME_BYTES + encoded)) > available_memory():
        raise UserError(f"{path}: needs {needed / 1e9:,.1f} GB of memory; use fewer frames or a smaller scale")


def save(frames: Tensor, path: Path, rate: float, scale: int = 1, text: str | None = None) -> None:
    """Write uint8 frames (F, C, H, W), premultiplied if C = 4, atomically. GIF, WebP and APNG loop forever.

    Args:
        rate: frames per second; GIF rounds durations to hundredths of a second.
        scale: factor by which to enlarge the pixels.
        text: text for the metadata of the file, see `gan.images.files`; videos have none.
    """
    check(path)
    suffix = path.suffix.lower()
    if suffix in CONTAINERS:
        flat = (composite(image, WHITE) for image in to_images(frames, scale))
        save_video(flat, path, Fraction(rate).limit_denominator(1001))
        return
    format, options = ANIMATIONS[suffix]
    first, *rest = to_images(frames, scale)
    options = {"save_all": True, "append_images": rest, "duration": 1000 / rate, "loop": 0, **options}
    options |= {} if text is None else save_options(format, text)
    try:
        encoded = encode(first, format, options)
    except ImageError as error:
        raise UserError(f"{path}: {error}") from error
    write_bytes(path, encoded)


def to_images(frames: Tensor, scale: int) -> Iterator[Image.Image]:
    from gan.images.convert import to_pil_image  # imports torch, which looks do not need

    for frame in frames:
        image = to_pil_image(frame)
        image = image.convert("RGB") if image.mode == "L" else image
        yield image.resize((scale * image.width, scale * image.height), Image.Resampling.NEAREST)


def import_av(path: Path) -> Any:
    """Return PyAV; raise UserError if it is not installed."""
    try:
        import av
    except ImportError:
        raise UserError(f"{path}: videos need PyAV: {install('video')}") from None
    return av


def save_video(images: Iterable[Image.Image], target: Path, rate: Fraction) -> None:
    """Write RGB images of one size as a video with `rate` frames per second, atomically.

    The extension of `target` must be one of CONTAINERS.
    """
    av = import_av(target)

    def write(file: Any) -> None:
        with av.open(file, "w", format=CONTAINERS[target.suffix.lower()]) as writer:
            stream = None
            for number, image in enumerate(images):
                frame = to_player_format(av.VideoFrame.from_image(image))
                frame.pts, frame.time_base = number, 1 / rate
                stream = stream or add_stream(frame, writer, rate)
                writer.mux(stream.encode(frame))
            if stream is not None:
                writer.mux(stream.encode())

    try:
        write_atomically(target, write)
    except (av.FFmpegError, ValueError) as error:
        raise UserError(f"{target}: cannot be written ({to_line(error)})") from error


def convert(
    source: Path, target: Path, change: Callable[[Image.Image], Image.Image], apart: Callable[..., Any], max_pixels: int
) -> None:
    """Change a video frame by frame and write it atomically. Keep size, rate, timestamps and the first audio track.

    Formats that can make FFmpeg open other files or URLs are refused.

    Args:
        apart: calls a function in the process that reads and writes the video, see `IsolatedProcess`.
        max_pixels: limit of width * height of a frame; larger videos are refused before decoding.
    """
    if target.suffix.lower() not in CONTAINERS:
        raise UserError(f"{target}: not a video; use one of {', '.join(CONTAINERS)}")

    def write(file: Any) -> None:
        image = apart(next_frame, None, source, target, file.name, max_pixels)
        while image is not None:
            image = apart(next_frame, change(image))

    write_atomically(target, write)


_frames: Generator[Image.Image, Any, None]  # of the video that this process converts


def next_frame(changed: Image.Image | None, *video: Any) -> Image.Image | None:
    """Write a changed frame, and return the next one; None at the end. Arguments of `convert_frames` begin a video."""
    global _frames
    if video:
        _frames = convert_frames(*video)
    try:
        return _frames.send(changed)
    except StopIteration:
        return None


def convert_frames(source: Path, target: Path, partial: str, max_pixels: int) -> Generator[Image.Image, Any, None]:
    """Yield the frames of a video upright, and write what is sent for each into the file `partial`."""
    av = import_av(source)
    limits = {"format_whitelist": READ, "protocol_whitelist": "file", "max_pixels": str(max_pixels)}
    try:
        reader = av.open(f"file:{source}", options=limits)
    except av.FFmpegError as error:
        raise UserError(f"{source}: no readable video ({error.strerror})") from error
    with reader:
        try:
            if not reader.streams.video or reader.streams.video[0].codec_context is None:
                raise ImageError("it has no frames")
            head = reader.streams.video[0].codec_context
            if head.width * head.height > max_pixels:
                limit = f"the limit of {max_pixels:,} pixels; change it with --max-pixels"
                raise ImageError(f"{head.width}x{head.height} is more than {limit}")
            head.options = {"max_pixels": str(max_pixels)}  # a later frame may be larger
            with av.open(f"file:{partial}", "w", format=CONTAINERS[target.suffix.lower()]) as writer:
                yield from copy(reader, writer)
        except (ImageError, av.InvalidDataError) as error:
            raise UserError(f"{source}: no readable video ({reason(error)})") from error
        except (av.FFmpegError, ValueError) as error:
            raise UserError(f"{target}: cannot be written ({to_line(error)})") from error


def copy(reader: Any, writer: Any) -> Generator[Image.Image, Any, None]:
    """Copy all frames, as changed, and all audio packets, in the original order. Raise ImageError for a damaged one."""
    av = import_av(Path(reader.name))
    video = reader.streams.video[0]
    sound = reader.streams.audio[0] if reader.streams.audio else None
    written = spoken = None
    early = []  # audio packets before the first frame; the file needs the frame's size first
    for packet in reader.demux(*filter(None, (video, sound))):
        if packet.stream is sound:
            early.append(packet)
        else:
            try:
                frames = packet.decode()
            except av.FFmpegError as error:  # such as a frame above max_pixels
                raise ImageError(error.strerror or str(error)) from error
            for frame in frames:
                image = frame.to_image()
                if frame.rotation:  # counterclockwise, as in Pillow
                    image = image.rotate(frame.rotation, expand=True)
                after = with_pixels(frame, (yield image))
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


def with_pixels(frame: Any, image: Image.Image) -> Any:
    colorspace = frame.colorspace if frame.colorspace != 2 else None
    after = to_player_format(type(frame).from_image(image), colorspace, frame.color_range or LIMITED_RANGE)
    after.pts, after.time_base = frame.pts, frame.time_base
    return after


def to_player_format(frame: Any, colorspace: Any = None, color_range: Any = LIMITED_RANGE) -> Any:
    even = frame.width % 2 == frame.height % 2 == 0
    kind = "yuv420p" if even else "yuv444p"  # yuv420p halves the color resolution and needs even sides
    return frame.reformat(format=kind, dst_colorspace=colorspace, dst_color_range=color_range)


def add_stream(frame: Any, writer: Any, rate: Fraction) -> Any:
    codec = "libvpx-vp9" if writer.format.name == "webm" else "libx264"
    stream = writer.add_stream(codec, rate=rate, options=CODEC_OPTIONS)
    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
    return stream


def add_stream_like(source: Any, frame: Any, writer: Any) -> Any:
    """Add a stream for frames like this one, with the frame rate and tags of another stream, and return it."""
    written = add_stream(frame, writer, source.average_rate)
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        setattr(written.codec_context, name, getattr(source.codec_context, name))
    if source.sample_aspect_ratio and not frame.rotation:
        written.sample_aspect_ratio = source.sample_aspect_ratio
    written.time_base = written.codec_context.time_base = source.time_base
    return written
