"""The latency of any network of a space, from a table of its parts.

seconds = offset + Σ over groups of parts: factor · Σ seconds of its parts as timed one by one

A part that is timed alone has warm caches and pays Python's overhead, and another device is fast
at other things. So the offset and the factors are fitted to whole networks that were measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from nas_space.convs import Conv
from nas_space.convs.base import Size
from nas_space.costs.cost import Task
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.residual import ResidualArchitecture, ResidualSpace
from nas_space.spaces.residual.extremes import Counting, added
from searchers.latency.parts import Part, layer, of_block, of_stem, parts


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How good predictions are for networks that the fit has not seen (each left out in turn).

    Attributes:
        networks: how many were measured.
        error: median relative error.
        error90: nine of ten networks have at most this relative error.
        tau: Kendall's rank correlation of predictions and measurements.
        spread: how well measurements agree with themselves: the distance between the quartiles of
            a network's runs, relative to their median; the median over networks.
    """

    networks: int
    error: float
    error90: float
    tau: float
    spread: float


@dataclass(frozen=True, slots=True)
class LatencyModel:
    """Predicts seconds for a batch on one device.

    Attributes:
        device: what was measured, see `trainers.latency.hardware`, or the user's command.
        batch: images at a time.
        task: what the networks are for.
        offset: seconds that every network takes, at least 0.
        factors: of each group of parts, above 0.
        seconds: of each part, timed alone on this machine.
        accuracy: of the prediction.
    """

    device: str
    batch: int
    task: Task
    offset: float
    factors: Mapping[str, float]
    seconds: Mapping[Part, float]
    accuracy: Accuracy

    def predict(self, architecture: Architecture) -> float:
        """Seconds for a batch."""
        return self.offset + sum(map(self._weighted, parts(architecture, self.task)))

    def fastest(self, space: ResidualSpace) -> ResidualArchitecture:
        """The architecture of the space with the least predicted latency, exactly."""
        return space.least(self.task, self._counting)

    def slowest(self, space: ResidualSpace) -> ResidualArchitecture:
        """The architecture of the space with the most predicted latency, exactly."""
        return space.most(self.task, self._counting)

    def __str__(self) -> str:
        """One line on how good the predictions are."""
        found = self.accuracy
        return (
            f"latency   predicted for {self.device}; of {found.networks} networks measured there, "
            f"left out in turn, half are within {found.error:.1%}, nine of ten within "
            f"{found.error90:.1%}; rank correlation (Kendall) {found.tau:.2f}"
        )

    @property
    def _counting(self) -> Counting:
        return Counting(
            layer=self._layer,
            stem=lambda stem, width: sum(map(self._weighted, of_stem(stem, width, self.task))),
            block=lambda block, size: sum(map(self._weighted, of_block(block, size))),
            together=added,
            total=self.predict,
        )

    def _layer(self, conv: Conv, c_in: int, c_out: int, size: Size, stride: int) -> float:
        return self._weighted(layer(conv, c_in, c_out, size, stride))

    def _weighted(self, part: Part) -> float:
        return self.factors[part.group] * self.seconds[part]

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a file."""
        task, accuracy = self.task, self.accuracy
        return {
            "device": self.device,
            "batch": self.batch,
            "task": [task.channels, *task.size, task.classes],
            "offset": self.offset,
            "factors": dict(self.factors),
            "parts": [[*part.row(), seconds] for part, seconds in self.seconds.items()],
            "accuracy": [
                accuracy.networks,
                accuracy.error,
                accuracy.error90,
                accuracy.tau,
                accuracy.spread,
            ],
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:  # noqa: ANN401 - anything may be in a file
        """Read `to_json`.

        Raises:
            ValueError, TypeError, KeyError: it is something else.
        """
        channels, height, width, classes = data["task"]
        model = cls(
            device=str(data["device"]),
            batch=int(data["batch"]),
            task=Task(int(channels), (int(height), int(width)), int(classes)),
            offset=float(data["offset"]),
            factors={str(group): float(factor) for group, factor in data["factors"].items()},
            seconds={Part.of(row[:-1]): float(row[-1]) for row in data["parts"]},
            accuracy=Accuracy(int(data["accuracy"][0]), *map(float, data["accuracy"][1:])),
        )
        if not model.offset >= 0 or not all(0 < v < float("inf") for v in _numbers(model)):
            raise ValueError("a factor or a time that is none")
        return model


def _numbers(model: LatencyModel) -> list[float]:
    return [*model.factors.values(), *model.seconds.values()]
