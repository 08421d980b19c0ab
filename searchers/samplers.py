"""Optuna's samplers by the names that users type."""

from collections.abc import Callable

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


def make(name: str, seed: int) -> BaseSampler:
    """A fresh sampler.

    Raises:
        UnknownSamplerError: there is none of that name.
    """
    if name not in _SAMPLERS:
        raise UnknownSamplerError(f"unknown sampler {name!r}; known samplers: {', '.join(names())}")
    return _SAMPLERS[name](seed)
