"""A text in the metadata of an image file: where the image comes from. No pixels change.

PNG has a text chunk, GIF a comment, and JPEG, WebP and TIFF have an XMP packet, so that EXIF stays that of the camera.
Other formats hold no text.
"""

from __future__ import annotations

import hashlib
import html
import re
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

KEY = "retro-gan"  # the PNG keyword, and the first word of a GIF's comment
XMP_TAG = 700  # of TIFF
IN_XMP = re.compile(rb'gan:origin="([^"<>]*)"')
XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:gan="urn:retro-gan:1" '
    'gan:origin="{}"/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)
NESTED = (0x8769, 0x8825)  # tables of EXIF that Pillow cannot write into a compressed TIFF
MAX_TEXT = 1 << 20  # bytes


def save_options(format: str, text: str, exif: bytes | None = None) -> dict[str, Any]:
    """Return options of Pillow's `save` that embed an ASCII text; none for formats without metadata.

    Args:
        format: Pillow's name of the format.
        exif: EXIF data to write into the same file. In a TIFF, both are in the same table.
    """
    if format == "PNG":
        chunk = PngInfo()
        chunk.add_text(KEY, text)
        return {"pnginfo": chunk}
    if format == "GIF":
        return {"comment": f"{KEY} {text}".encode("ascii")}
    packet = XMP.format(html.escape(text)).encode()
    if format == "TIFF":
        tags = Image.Exif()
        if exif:
            tags.load(exif)
            for table in NESTED:
                tags.pop(table, None)
        tags[XMP_TAG] = packet
        return {"exif": tags}
    return {"xmp": packet} if format in ("JPEG", "WEBP") else {}


def read(image: Image.Image) -> str | None:
    """Return the embedded text of an opened image; None if it has none, or one longer than MAX_TEXT."""
    found: Any = image.info.get(KEY)
    if image.format == "GIF":
        comment = image.info.get("comment")
        start = f"{KEY} ".encode()
        found = comment[len(start) :] if isinstance(comment, bytes) and comment.startswith(start) else None
    elif image.format in ("JPEG", "MPO", "WEBP", "TIFF"):
        packet = image.info.get("xmp")
        part = IN_XMP.search(packet[: 2 * MAX_TEXT]) if isinstance(packet, bytes) else None
        found = html.unescape(part[1].decode("ascii", "replace")) if part else None
    if isinstance(found, bytes):
        found = found.decode("ascii", "replace")
    return str(found) if isinstance(found, str) and len(found) <= MAX_TEXT else None


def pixel_digest(image: Image.Image) -> str:
    """Return a digest of the mode, the size and the pixels of an image."""
    digest = hashlib.blake2b(f"{image.mode} {image.width}x{image.height} ".encode(), digest_size=16)
    digest.update(image.tobytes())
    return digest.hexdigest()
