"""The exceptions that decoding raises."""


class ImageError(Exception):
    """A file cannot be read. The message is one line with the reason; the caller adds the path."""


class TooLarge(ImageError):
    """The image has more pixels than allowed."""
