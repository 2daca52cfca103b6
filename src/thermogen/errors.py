"""The errors a user can cause: one line that names the value and the remedy."""


class InputError(ValueError):
    """A value given by the user cannot be used; the message names the value and the remedy.

    The command line prints the message as one line and exits with code 2.
    """


class DivergenceError(InputError):
    """The integration left every physical scale: step, unit and a stable dt are in the message."""


class ProcessError(InputError):
    """Another process of a shared run failed, ended or has other arguments; the message gives the remedy."""


def require(condition: bool, message: str) -> None:
    """Raise `InputError(message)` unless `condition` holds."""
    if not condition:
        raise InputError(message)
