"""The exceptions that users see."""


class UserError(Exception):
    """An error that a user can cause and mend: one line that says what, where and what to do."""


class Diverged(UserError):
    """Losses or weights are no longer finite; a sweep counts such a run as infinitely bad."""
