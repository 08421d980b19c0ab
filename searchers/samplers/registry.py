"""The samplers by the names that users type: our own, Optuna's, and users' own."""

import importlib
import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nas_space.errors import ConvnasError, error_line
from nas_space.plugins import own
from nas_space.registry import Registry, given
from searchers.problem import Problem

if TYPE_CHECKING:
    # To import Optuna takes half a second, which the command line does not need.
    from optuna.samplers import BaseSampler

DEFAULT = "bayes"

_STARTUP_TRIALS = 20
_POPULATION_TRIALS = 10
"""With Optuna's default of 50, a budget of 200 has only four generations (docs/log.md)."""


class UnknownSamplerError(ConvnasError):
    """An unknown name of a sampler, or a class that is not a sampler."""


class _Maker(Protocol):
    """What a name stands for."""

    def make(self, seed: int, problem: Problem) -> "BaseSampler":
        """A fresh sampler."""


@dataclass(frozen=True, slots=True)
class _Optunas:
    """A class of `optuna.samplers`, and its arguments besides the seed."""

    kind: str
    options: Mapping[str, Any]

    def make(self, seed: int, problem: Problem) -> "BaseSampler":  # noqa: ARG002 - it learns all
        """A fresh sampler."""
        kind = getattr(importlib.import_module("optuna.samplers"), self.kind)
        sampler: BaseSampler = kind(seed=seed, **self.options)
        return sampler


@dataclass(frozen=True, slots=True)
class _Ours:
    """The sampler that knows what networks cost."""

    def make(self, seed: int, problem: Problem) -> "BaseSampler":
        """A fresh sampler."""
        from searchers.samplers.bayes import BayesSampler  # noqa: PLC0415

        return BayesSampler(problem, seed)


@dataclass(frozen=True, slots=True)
class _Users:
    """A class of the user's own, like ``package.module:Class``."""

    name: str

    def kind(self) -> "type[BaseSampler]":
        """The class.

        Raises:
            UnknownSamplerError: there is none.
        """
        from optuna.samplers import BaseSampler  # noqa: PLC0415

        found = own(self.name, f"--sampler {self.name}", UnknownSamplerError)
        if not (isinstance(found, type) and issubclass(found, BaseSampler)):
            module, _, name = self.name.partition(":")
            raise UnknownSamplerError(
                f"--sampler {self.name}: {name} is no optuna.samplers.BaseSampler in {module}"
            )
        return found

    def make(self, seed: int, problem: Problem) -> "BaseSampler":
        """A fresh sampler, with the seed and the problem if it takes them."""
        kind = self.kind()
        try:
            takes = inspect.signature(kind).parameters
            offered = {"seed": seed, "problem": problem}
            return kind(**{name: value for name, value in offered.items() if name in takes})
        except Exception as error:  # noqa: BLE001 - the class is the user's
            raise UnknownSamplerError(
                f"--sampler {self.name} cannot be made without arguments other than seed and "
                f"problem ({error_line(error)})"
            ) from None


_OURS: Mapping[str, _Maker] = {
    "bayes": _Ours(),
    "tpe": _Optunas("TPESampler", {"n_startup_trials": _STARTUP_TRIALS, "multivariate": True}),
    "nsga2": _Optunas("NSGAIISampler", {"population_size": _POPULATION_TRIALS}),
    "nsga3": _Optunas("NSGAIIISampler", {"population_size": _POPULATION_TRIALS}),
    "gp": _Optunas("GPSampler", {"n_startup_trials": _STARTUP_TRIALS}),
    "random": _Optunas("RandomSampler", {}),
}


SAMPLERS: Registry[_Maker] = Registry(
    "sampler",
    UnknownSamplerError,
    refusal="unknown sampler {name}; known samplers: {names}, or a class of your own like "
    "package.module:Class",
    found=lambda: (given(name, maker, __name__) for name, maker in _OURS.items()),
)
"""The samplers that can be asked for by one word."""


def check(name: str) -> None:
    """Raise UnknownSamplerError if there is no sampler of that name."""
    if ":" in name:
        _Users(name).kind()
    else:
        SAMPLERS.get(name)


def make(name: str, problem: Problem, seed: int, done: int = 0) -> "BaseSampler":
    """A fresh sampler.

    Args:
        name: one of `SAMPLERS`, or a user's class.
        problem: what is searched.
        seed: of its choices.
        done: evaluations of earlier runs. They change the random numbers, so that a search that is
            continued does not propose its first architectures again.

    Raises:
        UnknownSamplerError: the name is unknown, or the sampler cannot be made.
    """
    check(name)
    choice: _Maker = _Users(name) if ":" in name else SAMPLERS.get(name)
    start = int(np.random.SeedSequence([seed, done]).generate_state(1)[0])
    from optuna.exceptions import ExperimentalWarning  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return choice.make(start, problem)
