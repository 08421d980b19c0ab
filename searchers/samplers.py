"""Optuna's samplers by the names that users type."""

import warnings
from collections.abc import Callable

import numpy as np
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseSampler,
    GPSampler,
    NSGAIIISampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)

DEFAULT = "tpe"

_STARTUP = 20
_POPULATION = 10
"""Optuna's default of 50 leaves four generations to a budget of 200 (docs/log.md)."""


class UnknownSamplerError(ValueError):
    """A name that belongs to no sampler."""


_SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: TPESampler(seed=seed, n_startup_trials=_STARTUP, multivariate=True),
    "nsga2": lambda seed: NSGAIISampler(seed=seed, population_size=_POPULATION),
    "nsga3": lambda seed: NSGAIIISampler(seed=seed, population_size=_POPULATION),
    "gp": lambda seed: GPSampler(seed=seed, n_startup_trials=_STARTUP),
    "random": lambda seed: RandomSampler(seed=seed),
}


def names() -> tuple[str, ...]:
    """The samplers that can be asked for."""
    return tuple(_SAMPLERS)


def check(name: str) -> None:
    """Raise UnknownSamplerError if there is no sampler of that name."""
    if name not in _SAMPLERS:
        raise UnknownSamplerError(f"unknown sampler {name!r}; known samplers: {', '.join(names())}")


def make(name: str, seed: int, done: int = 0) -> BaseSampler:
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
    start = int(np.random.SeedSequence([seed, done]).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return _SAMPLERS[name](start)
