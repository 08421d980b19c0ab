"""A registry: all things of one kind, by the names that users type.

The project has one for each kind that can be extended: convolution types, skeletons, spaces,
backbones, export forms, papers' networks and their families, data sets, recipes,
zero-cost scores, samplers, objectives. A registry knows where each thing comes from, and refuses an
unknown name in one line.

The parts of plugins come in at the first use of any registry, see `nas_space.plugins`.

This module imports only that one and `nas_space.errors`. A thing may be registered as an import
string: what needs torch is imported only when it is used.
"""

import difflib
import importlib
import inspect
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from nas_space import plugins
from nas_space.errors import ConvnasError

T = TypeVar("T")

_PACKAGES = ("nas_space", "trainers", "studies", "searchers")
_ALIKE_RATIO = 0.65
"""Least similarity of a suggested name: the ratio of `difflib`, 0 to 1."""
_MAX_NAME_LETTERS = 200
"""How much of an unknown name a message repeats."""


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """A thing with its name.

    Attributes:
        name: as users type it.
        source: the module that the thing comes from.
        load: returns the thing; it may import that module first.
    """

    name: str
    source: str
    load: Callable[[], T]


def given(name: str, thing: T, source: str) -> Entry[T]:
    """The entry of a thing that exists already; `source` is the module that registers it."""
    return Entry(name, source, lambda: thing)


def imported(name: str, path: str) -> Entry[Any]:
    """The entry of a thing that is imported when it is used; `path` is module:attribute.

    The type of the attribute is not checked.
    """
    module, _, attribute = path.partition(":")

    def load() -> Any:  # noqa: ANN401 - see above
        found = importlib.import_module(module)
        if not hasattr(found, attribute):
            raise ImportError(f"{module} has no {attribute}")
        return getattr(found, attribute)

    return Entry(name, module, load)


def _caller() -> str:
    """The module that calls the registry."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    return "a plugin" if frame is None else str(frame.f_globals.get("__name__", "a plugin"))


def did_you_mean(name: str, known: Iterable[str], alike: float = _ALIKE_RATIO) -> str:
    """A question that gives the known names most like another one; empty if there are none.

    Args:
        name: the other one.
        known: names to suggest.
        alike: least ratio of `difflib` for a suggestion, 0 to 1.
    """
    names = difflib.get_close_matches(name, list(known), n=3, cutoff=alike)
    return f"did you mean {', '.join(names)}?" if names else ""


class Registry(Generic[T]):
    """The things of one kind.

    Args:
        kind: what a thing is called, in the singular: ``sampler``.
        error: raised if a name is unknown, taken, or cannot be imported.
        refusal: the message for an unknown name, with the fields ``{name}``, ``{names}`` and
            ``{near}``, a question with similar names. A text without ``{near}`` gets the question
            at its end.
        alike: names with a smaller ratio of `difflib` are not suggested, 0 to 1.
        alphabetical: whether names are sorted; otherwise they are in order of registration.
        found: gives the entries of convnas itself. It is called at the first use.
        holds: the class of all things that are added; None does not look.
        follows: `found` makes an entry of each of its things: it is called again when it has more.
    """

    def __init__(  # noqa: PLR0913 - each says something else about the kind
        self,
        kind: str,
        error: type[ConvnasError],
        *,
        refusal: str | None = None,
        alike: float = _ALIKE_RATIO,
        alphabetical: bool = False,
        found: Callable[[], Iterable[Entry[T]]] = tuple,
        holds: type[T] | None = None,
        follows: "Registry[Any] | None" = None,
    ) -> None:
        self.kind = kind
        self._error = error
        self._refusal = refusal or f"unknown {kind} {{name}}; known {kind}s: {{names}}"
        self._alike = alike
        self._alphabetical = alphabetical
        self._found = found
        self._holds = holds
        self._follows = follows
        self._followed = 0
        self._entries: dict[str, Entry[T]] | None = None
        self._added = list[Entry[T]]()
        self._is_filling = False
        self._lock = threading.RLock()

    def register(self, entry: Entry[T]) -> None:
        """Add a thing.

        Raises:
            ConvnasError: the name is taken.
        """
        with self._lock:
            if not self._is_filling:  # by a module that `found` imports
                self._put(self._known(), entry)
            self._added.append(entry)

    def add(self, name: str, thing: T, source: str | None = None) -> None:
        """Add a thing from outside of convnas; a plugin does so when it is imported.

        Args:
            name: as users will type it.
            thing: what the other entries are.
            source: the module that it comes from; by default the one that adds it.

        Raises:
            ConvnasError: the name is taken, the thing has another name, or is of another kind.
        """
        if self._holds is not None and not isinstance(thing, self._holds):
            raise self._error(
                f"{self.kind} {name!r} must be added as {self._holds.__name__}(…), not as a "
                f"{type(thing).__name__}"
            )
        if getattr(thing, "name", name) != name:
            raise self._error(f"{self.kind} {name!r} has another name itself: rename one of them")
        self.register(given(name, thing, source or _caller()))

    def get(self, name: str) -> T:
        """The thing of that name.

        Raises:
            ConvnasError: the name is unknown, or its module cannot be imported.
        """
        entry = self._entry(name)
        try:
            return entry.load()
        except ImportError as error:
            raise self._error(
                f"{self.kind} {name!r} cannot be imported from {entry.source} ({error}): fix or "
                "reinstall the package that provides it"
            ) from error

    def source(self, name: str) -> str:
        """The module that the thing of that name comes from.

        Raises:
            ConvnasError: the name is unknown.
        """
        return self._entry(name).source

    def is_ours(self, name: str) -> bool:
        """Whether the thing of that name comes from convnas itself, and not from a plugin.

        Raises:
            ConvnasError: the name is unknown.
        """
        return self.source(name).partition(".")[0] in _PACKAGES

    def all(self) -> dict[str, T]:
        """Everything by name; imports what is not imported yet."""
        return {name: self.get(name) for name in self}

    def __iter__(self) -> Iterator[str]:
        known = self._known()
        return iter(sorted(known) if self._alphabetical else tuple(known))

    def __len__(self) -> int:
        return len(self._known())

    def __contains__(self, name: object) -> bool:
        return name in self._known()

    def _entry(self, name: str) -> Entry[T]:
        found = self._known().get(name)
        if found is None:
            raise self._error(self._unknown(name))
        return found

    def _unknown(self, name: str) -> str:
        near = did_you_mean(name.lower(), self, self._alike)
        text = self._refusal
        if near and "{near}" not in text:
            text += "; {near}"
        shown = repr(name[:_MAX_NAME_LETTERS])
        return text.format(name=shown, names=", ".join(self), near=f"{near} " * bool(near)).strip()

    def _known(self) -> dict[str, Entry[T]]:
        with self._lock:
            if self._entries is not None and self._followed == len(self._follows or ()):
                return self._entries
            self._is_filling = True
            try:
                entries: dict[str, Entry[T]] = {}
                self._followed = len(self._follows or ())
                for entry in itertools.chain(self._found(), self._added):
                    self._put(entries, entry)
                self._entries = entries
            finally:
                self._is_filling = False
        try:
            plugins.load()
        except ConvnasError:
            self._entries = None  # whoever asks again is told again
            raise
        return self._known()

    def _put(self, entries: dict[str, Entry[T]], entry: Entry[T]) -> None:
        taken = entries.get(entry.name)
        if taken is not None:
            raise self._error(
                f"{self.kind} {entry.name!r} is registered twice, by {taken.source} and by "
                f"{entry.source}: rename one of them"
            )
        entries[entry.name] = entry
