"""What a plain install lacks, and how to get it: the optional dependencies of pyproject.toml."""

from importlib.util import find_spec

from nas_space.errors import ConvnasError

_MODULES = {
    "dashboard": ("optuna_dashboard",),
    "mysql": ("pymysql",),
    "notebook": ("pandas",),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
    "postgresql": ("psycopg",),
    "tiff": ("tifffile", "imagecodecs"),
}
"""The modules that each extra brings."""


class MissingExtraError(ConvnasError):
    """Something needs a package that is not installed."""


def check(extra: str, what: str) -> None:
    """See that an extra is installed.

    Args:
        extra: its name in pyproject.toml.
        what: needs it, for the message.

    Raises:
        MissingExtraError: it is not.
    """
    if any(_is_missing(module) for module in _MODULES[extra]):
        raise MissingExtraError(f"{what} needs {' and '.join(_MODULES[extra])}: {cure(extra)}")


def cure(extra: str) -> str:
    """What to type to get it."""
    return f"pip install 'convnas[{extra}]', or convnas[all]"


def _is_missing(module: str) -> bool:
    try:
        return find_spec(module) is None
    except ValueError:  # it is in sys.modules without a spec
        return True
