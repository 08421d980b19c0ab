"""The base class of every refusal: convnas cannot do what was asked, and the message says why.

This module imports nothing, so every part of the project can use it.
"""


class ConvnasError(ValueError):
    """A request that convnas refuses; the message is the one line that the user sees.

    Each package derives its own errors from it. Commands turn all of them into one line and exit
    code 2, see `nas_space.cli.run`. Any other exception is a bug in convnas and shows a traceback.
    """


def reason(error: BaseException) -> str:
    """What an error of somebody else's code says, as part of a line: its first, or its type."""
    first, *more = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join([first, *(line.strip() for line in more[: first.endswith(":")])])


def error_line(error: BaseException) -> str:
    """The same with the error's kind before it, for code of the user's own."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


class InvalidChoiceError(ConvnasError):
    """A convolution that is misspelt, cannot serve its widths, or cannot be exported."""
