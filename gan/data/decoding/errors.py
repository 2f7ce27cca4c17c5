"""The exceptions that decoding raises."""


class ImageError(Exception):
    """Why a file cannot be read, in one line and without its path, which the caller adds."""


class TooLarge(ImageError):
    """The image has more pixels than allowed."""
