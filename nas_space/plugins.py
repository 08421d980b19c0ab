"""Parts from outside of convnas: modules that add their own to the registries when imported.

They are named in three places: in the entry point group ``convnas.plugins`` of an installed
package, by the option ``--plugin MODULE`` of every command, and in the environment variable
``CONVNAS_PLUGINS=MODULE,MODULE``. The option sets that variable: workers and other processes that
convnas starts inherit it.

This module imports only `nas_space.errors`.
"""

import importlib
import os
import re
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from nas_space.errors import ConvnasError, error_line

GROUP = "convnas.plugins"
VARIABLE = "CONVNAS_PLUGINS"
_MODULE = re.compile(r"[\w-]+(\.[\w-]+)*")
_PATH = re.compile(r"[^\W\d][\w.]*:[^\W\d]\w*")


class PluginError(ConvnasError):
    """A plugin that cannot be imported."""


def load() -> None:
    """Import all plugins that are not imported yet.

    Raises:
        PluginError: one cannot be imported.
    """
    for found in _installed():
        package = found.dist.name if found.dist else found.module
        _import(found.module, f"fix or uninstall the package {package}")
    for module in named():
        _import(module, f"fix it, or leave it out of --plugin and {VARIABLE}")


def use(module: str, option: str = "--plugin") -> None:
    """Import a plugin, here and in all processes that this one starts.

    Args:
        module: its name.
        option: by which the user names it, for messages.

    Raises:
        PluginError: it cannot be imported.
    """
    if not _MODULE.fullmatch(module) or module.endswith(".py"):
        raise PluginError(
            f"{option} {module!r} is no name of a module: the file my_type.py here is my_type"
        )
    _import(module, f"fix it, or leave out {option}")
    if module not in named():
        os.environ[VARIABLE] = ",".join([*named(), module])


def named() -> list[str]:
    """The modules of the environment variable."""
    return [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]


def is_path(name: str) -> bool:
    """Whether a name is written like that of a thing in a module: ``package.module:name``."""
    return _PATH.fullmatch(name) is not None


def own(path: str, said: str, error: type[ConvnasError]) -> Any:  # noqa: ANN401 - it is the user's
    """What a user names as ``package.module:name``.

    Args:
        path: of it.
        said: how the user has named it, for messages: ``--sampler mine:Best``, for example.
        error: the kind of refusal.

    Raises:
        ConvnasError: the module cannot be imported, or has nothing of that name.
    """
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except (Exception, SystemExit) as failure:  # noqa: BLE001 - the module is the user's
        raise error(f"{said}: {module} cannot be imported ({error_line(failure)})") from None
    if found is None:
        raise error(f"{said}: {name} is nothing in {module}")
    return found


@cache
def _installed() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))


def _import(module: str, cure: str) -> None:
    try:
        importlib.import_module(module)
    except ConvnasError:  # says itself what is wrong with what it adds
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the module is the user's
        raise PluginError(
            f"the plugin {module} cannot be imported ({error_line(error)}): {cure}"
        ) from None
