"""Optuna's samplers by the names that users type."""

import importlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

DEFAULT = "tpe"

_STARTUP = 20
_POPULATION = 10
"""Optuna's default of 50 leaves four generations to a budget of 200 (docs/log.md)."""


class UnknownSamplerError(ValueError):
    """A name that belongs to no sampler."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """A class of `optuna.samplers`, and what it is made with beside the seed."""

    kind: str
    options: Mapping[str, Any]


_SAMPLERS = {
    "tpe": _Choice("TPESampler", {"n_startup_trials": _STARTUP, "multivariate": True}),
    "nsga2": _Choice("NSGAIISampler", {"population_size": _POPULATION}),
    "nsga3": _Choice("NSGAIIISampler", {"population_size": _POPULATION}),
    "gp": _Choice("GPSampler", {"n_startup_trials": _STARTUP}),
    "random": _Choice("RandomSampler", {}),
}


def names() -> tuple[str, ...]:
    """The samplers that can be asked for."""
    return tuple(_SAMPLERS)


def check(name: str) -> None:
    """Raise UnknownSamplerError if there is no sampler of that name."""
    if name not in _SAMPLERS:
        raise UnknownSamplerError(f"unknown sampler {name!r}; known samplers: {', '.join(names())}")


def make(name: str, seed: int, done: int = 0) -> "BaseSampler":
    """A fresh sampler.

    Args:
        name: one of `names`.
        seed: of its choices.
        done: evaluations it goes on from: each start draws other numbers, so that a search that
            is continued does not propose its first architectures again.

    Raises:
        UnknownSamplerError: there is none of that name.
    """
    check(name)
    choice = _SAMPLERS[name]
    start = int(np.random.SeedSequence([seed, done]).generate_state(1)[0])
    # Optuna is half a second that reading a command line need not wait for.
    samplers = importlib.import_module("optuna.samplers")
    from optuna.exceptions import ExperimentalWarning  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        sampler: BaseSampler = getattr(samplers, choice.kind)(seed=start, **choice.options)
    return sampler
