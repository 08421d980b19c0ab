"""The base class of every refusal: convnas cannot do what was asked, and the message says why.

This module imports nothing, so every part of the project can use it.
"""


class ConvnasError(ValueError):
    """A request that convnas refuses; the message is the one line that the user sees.

    Each package derives its own errors from it. Commands turn all of them into one line and exit
    code 2, see `nas_space.cli.run`. Any other exception is a bug in convnas and shows a traceback.
    """


class InvalidChoiceError(ConvnasError):
    """A convolution that is misspelt, cannot serve its widths, or cannot be exported."""
