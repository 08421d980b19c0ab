"""What operations a runtime has."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nas_space.costs.operations import Operation


@dataclass(frozen=True, slots=True)
class Operators:
    """The operations that a runtime has; None is no limit.

    Attributes:
        has: their names, of `nas_space.costs.operations.OPERATORS` or of ONNX.
        largest_kernel: side of a convolution's kernel, in pixels.
        most_groups: of a group convolution that is not depthwise.
    """

    has: tuple[str, ...] | None = None
    largest_kernel: int | None = None
    most_groups: int | None = None

    def obstacle(self, operation: Operation) -> str | None:
        """Why the runtime does not compute an operation, as a few words; None where it does."""
        if self.has is not None and operation.name not in self.has:
            return f"no {operation.name}"
        if self.largest_kernel is not None and operation.kernel > self.largest_kernel:
            return f"no kernel of {operation.kernel}×{operation.kernel}"
        grouped = 1 < operation.groups != operation.c_in
        if self.most_groups is not None and grouped and operation.groups > self.most_groups:
            return f"no {operation.groups} groups"
        return None

    def obstacles(self, operations: Iterable[Operation]) -> tuple[str, ...]:
        """The obstacles of some operations, each once."""
        return tuple(dict.fromkeys(self._each(operations)))

    def _each(self, operations: Iterable[Operation]) -> Iterator[str]:
        for operation in operations:
            found = self.obstacle(operation)
            if found is not None:
                yield found
