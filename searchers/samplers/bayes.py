"""A sampler that models accuracy and knows MACs: Bayesian optimisation of the Pareto front.

Optuna's samplers learn both objectives from trials, but MACs and parameters of any network are
known in closed form. So only accuracy is modelled, by a Gaussian process on features of the
architecture and on its cost (`nas_space.spaces.features`). Candidates are ranked by how much
hypervolume they are expected to add (EHVI: Emmerich et al., IEEE CEC 2005; exact here, as one
objective is known). Candidates are mutants and crossings of the best networks, as in regularised
evolution (Real et al., arXiv 1802.01548) and BANANAS (White et al., arXiv 1910.11858), and random
networks. The first proposals are known to be good: uniform networks of each type and some widths
or, with a target, the hand-designed families, made to cost nearly as much.

The front so far is made of the model's means for the trained networks, not of their measured
accuracies: one lucky seed would hide better candidates.
"""

import itertools
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState
from scipy.special import ndtr
from threadpoolctl import ThreadpoolController

from nas_space.costs.cost import Cost
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.features import describe
from searchers.problem import Problem
from searchers.samplers.observations import EPOCHS
from studies.model.accuracy import Point, inputs, learnt
from studies.model.gaussian import Gaussian, Kernel, Matrix, Vector
from studies.pareto.front import ranked

_UNIFORM_PROPOSALS = 12
"""Known good networks to propose before the model is used."""
_BEGINNING_TRIALS = 40
"""With this many trials a search has begun long ago, even if its sampler is new."""
_DRAWS = 3
"""Random networks, of which the one nearest to a cost is taken."""
_MUTANT_CANDIDATES, _RANDOM_CANDIDATES = 160, 30
"""Candidates of a proposal."""
_PARENT_NETWORKS = 16
_FITTED_SHARE = 0.6
"""Of the mutants, with a target: they grow or shrink until they cost nearly as much."""
_FULL = 0.95
"""Of the target, from which on a mutant has grown enough."""
_MOST_STEPS = 30
"""Random steps by which a mutant grows or shrinks."""
_GROWTH_FACTOR = 1.1
"""The kernel, most of the work of a fit, is chosen again after this growth in proposals."""
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class EncodedNetwork:
    """An architecture of the space, as the sampler sees it.

    Key and features are slow to make, and needed for some of hundreds of candidates.
    """

    labels: dict[str, str]
    architecture: Architecture
    cost: Cost
    problem: Problem

    @cached_property
    def key(self) -> str:
        """Key of the architecture."""
        return self.architecture.key

    @cached_property
    def features(self) -> list[float]:
        """What the model reads."""
        space, task = self.problem.space, self.problem.task
        return describe(self.architecture, task, self.cost, space.kinds, space.sections)


@dataclass(frozen=True, slots=True)
class Known:
    """A network that was trained.

    Attributes:
        network: what was trained.
        val_accuracy: measured, or the model's mean.
        epochs: after which it was measured.
        cost: what the search makes small.
    """

    network: EncodedNetwork
    val_accuracy: float | None
    epochs: int
    cost: float


class BayesSampler(BaseSampler):
    """See the module.

    Args:
        problem: its parameters are sampled, within its limits.
        seed: of the candidates.
    """

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem = problem
        space = problem.space
        self._random = random.Random(seed)
        self._parameters = {p.name: p.labels for p in space.parameters}
        self._widening = [p for p in space.parameters if p.widens]
        self._price = problem.objective.of
        self._dearest = problem.limits.of(problem.objective) or problem.bounds[1]
        self._trained: dict[tuple[tuple[str, str], ...], EncodedNetwork] = {}
        self._start = self._fitted_start() or self._spread_out()
        self._kernel: Kernel | None = None
        self._asked = self._chosen_at = 0
        self._threads = ThreadpoolController()

    def infer_relative_search_space(
        self,
        study: optuna.Study,  # noqa: ARG002 - Optuna's signature
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """All parameters of the space."""
        return {name: CategoricalDistribution(ls) for name, ls in self._parameters.items()}

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],  # noqa: ARG002 - it is the whole space
    ) -> dict[str, Any]:
        """The labels of the next network."""
        states = (TrialState.COMPLETE, TrialState.RUNNING, TrialState.FAIL)
        trials = [
            t
            for t in study.get_trials(deepcopy=False, states=states)
            if t.number != trial.number and t.params.keys() == self._parameters.keys()
        ]
        seen = {self._of(t).key for t in trials}
        while self._start and len(trials) < _BEGINNING_TRIALS:
            network = self._start.pop(0)
            if network.key not in seen and self._problem.limits.excess(network.cost) == 0:
                return network.labels
        known = [t for t in trials if t.state is TrialState.COMPLETE]
        running = [t for t in trials if t.state is TrialState.RUNNING]
        # Matrices this small need no more threads, and trainings need the cores.
        with self._threads.limit(limits=1, user_api="blas"):
            return self._best(known, running, seen).labels

    def sample_independent(
        self,
        study: optuna.Study,  # noqa: ARG002 - Optuna's signature
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,  # noqa: ARG002
        param_distribution: BaseDistribution,
    ) -> Any:  # noqa: ANN401 - a label
        """A random label, for a parameter that is not of the space."""
        assert isinstance(param_distribution, CategoricalDistribution)  # noqa: S101 - ours all are
        return self._random.choice(param_distribution.choices)

    def _best(
        self, known: Sequence[FrozenTrial], running: Sequence[FrozenTrial], seen: set[str]
    ) -> EncodedNetwork:
        """The candidate that is expected to add the most hypervolume."""
        trained = list(map(self._learnt, known))
        if len(trained) < 3:  # noqa: PLR2004 - nothing to learn from
            return self._drawn()
        full = max(t.epochs for t in trained)
        model = self._model(trained)
        # A network may have been measured on several rungs, and be in training again.
        out = (self._of(t) for t in running)
        networks = list({n.key: n for n in (*(t.network for t in trained), *out)}.values())
        means = model.mean(_matrix(networks, full))
        believed = [self._known(n, float(m), full) for n, m in zip(networks, means, strict=True)]
        candidates = self._candidates(believed)
        if not candidates:
            return self._drawn()
        means, spreads = model.predict(_matrix(candidates, full))
        gains = self._gains(believed, candidates, means, spreads)
        best_first = (candidates[at] for at in np.argsort(-gains, kind="stable"))
        unseen = (network for network in best_first if network.key not in seen)
        return next(unseen, None) or self._drawn()

    def _model(self, trained: Sequence[Known]) -> Gaussian:
        """Accuracy, from features and epochs."""
        points = [
            Point(known.network.features, known.epochs, known.val_accuracy or 0.0)
            for known in trained
        ]
        self._asked += 1
        anew = self._asked >= _GROWTH_FACTOR * self._chosen_at
        model = learnt(points, None if anew else self._kernel)
        if anew:
            self._kernel, self._chosen_at = model.kernel, self._asked
        return model

    def _learnt(self, trial: FrozenTrial) -> Known:
        return self._known(self._of(trial), trial.values[0], trial.user_attrs.get(EPOCHS, 1))

    def _known(self, network: EncodedNetwork, val_accuracy: float, epochs: int) -> Known:
        cost = self._problem.judged(self._price(network.cost))
        return Known(network, val_accuracy, epochs, cost)

    def _gains(
        self,
        believed: Sequence[Known],
        candidates: Sequence[EncodedNetwork],
        means: Vector,
        spreads: Vector,
    ) -> Vector:
        """The expected gain of each candidate: in hypervolume, or with a target in accuracy."""
        if self._problem.target is not None:
            best = max(known.val_accuracy or 0.0 for known in believed)
            expected: Vector = _excess(means, spreads, best)
            return expected
        members = sorted(believed, key=lambda known: known.cost)
        edges = np.array(self._problem.weigh([*(m.cost for m in members), self._dearest]))
        values = [member.val_accuracy or 0.0 for member in members]
        heights = np.maximum.accumulate([min(0.0, *values), *values])
        # Interval i of costs is from edge i - 1 to edge i; what is found there has height i.
        left = np.concatenate([[-math.inf], edges[:-1]])
        at = np.array(self._problem.weigh([self._price(c.cost) for c in candidates]))
        widths = np.maximum(0.0, edges[None, :] - np.maximum(left[None, :], at[:, None]))
        excess = _excess(means[:, None], spreads[:, None], heights[None, :])
        gains: Vector = (widths * excess).sum(axis=1)
        return gains

    def _candidates(self, believed: Sequence[Known]) -> list[EncodedNetwork]:
        """Networks within the limits; some may be trained already, or appear twice."""
        parents = [known.network.labels for known in ranked(believed)[:_PARENT_NETWORKS]]
        made = [self._mutant(parents) for _ in range(_MUTANT_CANDIDATES)]
        made += [self._drawn() for _ in range(_RANDOM_CANDIDATES)]
        return [n for n in made if self._problem.limits.excess(n.cost) == 0]

    def _mutant(self, parents: Sequence[Mapping[str, str]]) -> EncodedNetwork:
        """A mutant of a parent, which is crossed with another one half of the times.

        What belongs together comes from one parent: a stage, or the layers of a module.
        """
        labels = dict(self._random.choice(parents))
        if self._random.random() < 0.5:  # noqa: PLR2004 - a coin
            other = self._random.choice(parents)
            taken = {part: self._random.random() < 0.5 for part in map(_part, labels)}  # noqa: PLR2004
            labels |= {name: label for name, label in other.items() if taken[_part(name)]}
        mutant = self._problem.space.mutated(labels, self._random)
        if self._random.random() < _FITTED_SHARE:
            mutant = self._fitted(mutant)
        return self._network(mutant)

    def _fitted(self, labels: dict[str, str]) -> dict[str, str]:
        """A network that costs just less than the target, by wider or narrower stages.

        What costs less than one may pay could mostly be better. Without a target it stays.
        """
        target = self._problem.target
        if target is None or not self._widening:
            return labels
        cost = self._cost(labels)
        for _ in range(_MOST_STEPS):
            if _FULL * target < cost <= target:
                break
            parameter = self._random.choice(self._widening)
            label = parameter.step(labels[parameter.name], -1 if cost > target else 1)
            moved = labels | {parameter.name: label}
            after = self._cost(moved)
            if after < cost if cost > target else cost < after <= target:
                labels, cost = moved, after
        return labels

    def _cost(self, labels: Mapping[str, str]) -> float:
        return self._price(self._problem.cost(self._problem.space.decode(labels)))

    def _drawn(self) -> EncodedNetwork:
        """A random network, of a cost that is as likely as the search attends to it."""
        cost = math.log(self._problem.at(self._random.uniform(0.01, 0.99)))
        drawn = [
            self._network({n: self._random.choice(ls) for n, ls in self._parameters.items()})
            for _ in range(_DRAWS)
        ]
        return min(drawn, key=lambda network: abs(math.log(self._price(network.cost)) - cost))

    def _fitted_start(self) -> list[EncodedNetwork]:
        """With a target: networks that cost as much.

        Of each hand-designed family, and of the inverted bottlenecks of each type, the dearest
        within the target, made wider.
        """
        target, space = self._problem.target, self._problem.space
        if target is None:
            return []
        dearest: dict[object, tuple[float, Architecture]] = {}
        by_hand = (architecture for _, architecture in self._problem.by_hand)
        for architecture in itertools.chain(by_hand, space.inverted()):
            cost = self._price(self._problem.cost(architecture))
            alike = architecture.by_hand or _makeup(architecture)
            if cost <= target and cost > dearest.get(alike, (0.0, None))[0]:
                dearest[alike] = cost, architecture
        encoded = (space.encode(architecture) for _, architecture in dearest.values())
        return [self._network(self._fitted(labels)) for labels in encoded if labels is not None]

    def _spread_out(self) -> list[EncodedNetwork]:
        """Uniform networks of every type in turn, spread over costs."""
        labels = map(self._problem.space.encode, self._problem.space.uniform())
        left = [self._network(found) for found in labels if found is not None]
        chosen: list[EncodedNetwork] = []
        for cost in map(math.log, self._problem.spread(min(_UNIFORM_PROPOSALS, len(left)))):
            kinds = Counter(map(_main_kind, chosen))
            fewest = min(kinds[_main_kind(network)] for network in left)
            fresh = [network for network in left if kinds[_main_kind(network)] == fewest]
            nearest = min(fresh, key=lambda n: abs(math.log(self._price(n.cost)) - cost))
            chosen.append(nearest)
            left.remove(nearest)
        return chosen

    def _network(self, labels: Mapping[str, str]) -> EncodedNetwork:
        architecture = self._problem.space.decode(labels)
        cost = self._problem.cost(architecture)
        return EncodedNetwork(dict(labels), architecture, cost, self._problem)

    def _of(self, trial: FrozenTrial) -> EncodedNetwork:
        """What a trial trains, remembered by its labels."""
        place = tuple(trial.params.items())
        if place not in self._trained:
            self._trained[place] = self._network(trial.params)
        return self._trained[place]


def _part(name: str) -> str:
    """The part of a network that a parameter is of: ``stage1`` of ``stage1.block2.conv1``."""
    return name.partition(".")[0]


def _makeup(architecture: Architecture) -> tuple[str, ...]:
    """Its stages, and the usual convolution at the beginning and at the end of its blocks."""
    stages = str(sum(1 for _ in architecture.sections()))
    layers = [layer.conv for layer in architecture.layers() if layer.c_in is not None]
    halves = (Counter((conv.kind, conv.kernel) for conv in layers[at::2]) for at in (0, 1))
    return (stages, *(str(half.most_common(1)) for half in halves))


def _main_kind(network: EncodedNetwork) -> str:
    """The type of most of its layers; empty where layers are no choices."""
    kinds = Counter(layer.conv.kind for layer in network.architecture.layers())
    return max(kinds, key=kinds.__getitem__, default="")


def _matrix(networks: Sequence[EncodedNetwork], epochs: int) -> Matrix:
    return inputs([network.features for network in networks], epochs)


def _excess(means: Numbers, spreads: Numbers, heights: Numbers | float) -> Numbers:
    """By how much normal variables are expected to exceed heights, where they do; else 0."""
    z = (means - heights) / spreads
    found: Numbers = spreads * (_density(z) + z * _cumulative(z))
    return found


def _density(z: Numbers) -> Numbers:
    density: Numbers = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return density


def _cumulative(z: Numbers) -> Numbers:
    cumulative: Numbers = ndtr(z)
    return cumulative
