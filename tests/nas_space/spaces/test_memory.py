"""Peak activation memory, against what the operations of real networks take and give."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nas_space.convs import TYPES, parse
from nas_space.costs.cost import Task, predict
from nas_space.spaces.building import build
from nas_space.spaces.registry import get
from nas_space.spaces.residual import ResidualArchitecture, ResidualSpace, Stage
from nas_space.spaces.residual.memory import BYTES_A_NUMBER, peak
from tests.examples import SMALL_PHOTO

IN_PLACE = ("native_batch_norm", "relu", "add")
"""Operations that the model folds into the one before, or has write over an operand."""


class Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes when each buffer of activations is made and when it is used last.

    Args:
        in_place: operations whose result is taken for their first operand.
    """

    def __init__(self, image: Tensor, in_place: Sequence[str] = IN_PLACE) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._in_place = in_place
        self._kept: list[Tensor] = [image]  # an address must not be given twice
        self._buffers = {_address(image): 0}
        self._sizes = [image.untyped_storage().nbytes()]
        self._lives = [[0, 0]]
        self._now = 0

    def use(self, value: object) -> None:
        """The tensors in it are alive now."""
        for tensor in self._mine(value):
            self._lives[self._buffers[_address(tensor)]][1] = self._now

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - as torch has it
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        self._now += 1
        self.use(args)
        operands = self._mine(args)
        given = {_address(leaf) for leaf in tree_leaves(args) if isinstance(leaf, Tensor)}
        for made in tree_leaves(result):
            address = _address(made)
            if not made.numel() or address in given:  # a view
                continue
            if made.dtype == torch.int64:  # where maxima were: only a gradient needs that
                continue
            self._kept.append(made)
            if func.overloadpacket.__name__ in self._in_place:
                self._buffers[address] = self._buffers[_address(operands[0])]
                continue
            self._buffers[address] = len(self._sizes)
            self._sizes.append(made.untyped_storage().nbytes())
            self._lives.append([self._now, self._now])
        return result

    def _mine(self, value: object) -> list[Tensor]:
        tensors = [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
        return [t for t in tensors if _address(t) in self._buffers]

    def peak(self) -> int:
        """Most bytes alive at once."""
        lives = list(zip(self._sizes, self._lives, strict=True))
        return max(
            sum(size for size, (born, last) in lives if born <= now <= last)
            for now in range(self._now + 1)
        )


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def traced(
    architecture: ResidualArchitecture, task: Task, in_place: Sequence[str] = IN_PLACE
) -> int:
    network = build(architecture, task.channels, task.classes).eval()
    image = torch.zeros(1, task.channels, *task.size)
    tracer = Tracer(image, in_place)
    for name, module in network.named_modules():
        if name != "stem.0" and not name.endswith((".conv2", ".conv3")):
            continue
        # A layer's input is kept until the layer is done.
        module.register_forward_hook(lambda _module, args, _output: tracer.use(args))
    with torch.no_grad(), tracer:
        network(image)
    return tracer.peak()


def drawn(space: ResidualSpace, seed: int) -> ResidualArchitecture:
    chance = random.Random(seed)
    return space.decode({p.name: chance.choice(p.labels) for p in space.parameters})


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("size", [(8, 8), (9, 7), (1, 1)])
def test_the_closed_form_is_what_the_operations_of_each_type_take_and_give(
    kind: str, size: tuple[int, int]
) -> None:
    # One stage that any layer may fill, so that each of them is the worst moment of a network.
    for c_in, c_out in ((16, 16), (16, 48), (48, 16)):
        for conv in TYPES.get(kind).settings(c_in, c_out):
            for inner in TYPES.get(kind).settings(c_out, c_out) or (parse("regular"),):
                first = Stage(c_in, ((parse("regular"), parse("regular")),))
                network = ResidualArchitecture((first, Stage(c_out, ((conv, inner),))))
                task = Task(3, size, 10)
                assert peak(network, task) == traced(network, task), (network, size)


@pytest.mark.parametrize("space", [get("mixed"), SMALL_PHOTO], ids=["mixed", "photo"])
@given(st.integers(0, 10**6), st.sampled_from([(8, 8), (7, 6), (16, 16), (2, 1)]))
@settings(max_examples=25)
def test_the_closed_form_is_what_the_operations_of_any_network_take_and_give(
    space: ResidualSpace, seed: int, size: tuple[int, int]
) -> None:
    network, task = drawn(space, seed), Task(1, size, 500)
    assert peak(network, task) == traced(network, task)


@given(st.integers(0, 10**6))
@settings(max_examples=15)
def test_pytorch_which_writes_over_nothing_takes_at_most_twice_as_much(seed: int) -> None:
    network, task = drawn(get("mixed"), seed), Task(1, (8, 8), 10)
    assert peak(network, task) <= traced(network, task, in_place=()) <= 2 * peak(network, task)


@pytest.mark.parametrize("name", ["mixed", "octave", "photo"])
def test_no_network_of_a_space_needs_less_than_its_smallest_or_more_than_its_largest(
    name: str,
) -> None:
    space, task = get(name), Task(3, (9, 8), 10)
    least = peak(space.smallest(task, "activation_memory"), task)
    most = peak(space.largest(task, "activation_memory"), task)
    assert all(least <= peak(drawn(space, seed), task) <= most for seed in range(200))


def test_the_smallest_is_the_smallest_of_all_where_all_can_be_tried() -> None:
    space = ResidualSpace("few", ("octave", "igc"), widths=((8, 16), (16, 32)), depths=(1,))
    task = Task(3, (6, 6), 10)
    smallest = space.smallest(task, "activation_memory")
    found = {peak(a, task) for a in everything(space)}
    assert peak(smallest, task) == min(found)
    assert peak(space.largest(task, "activation_memory"), task) == max(found)


def everything(space: ResidualSpace) -> list[ResidualArchitecture]:
    labels: list[dict[str, str]] = [{}]
    for parameter in space.parameters:
        if parameter.name.endswith(("conv1.setting", "conv2.setting")) and "stage1" in (
            parameter.name
        ):
            continue
        labels = [{**chosen, parameter.name: at} for chosen in labels for at in parameter.labels]
    return list({a.key: a for a in map(space.decode, labels)}.values())


def test_a_regular_network_by_hand() -> None:
    regular = parse("regular")
    network = ResidualArchitecture((Stage(8, ((regular, regular),)),))
    # The block's second convolution: its input, the block's input and its output, 8×8×8 each.
    assert predict(network, Task(3, (8, 8), 10)).activation_memory == BYTES_A_NUMBER * 3 * 8 * 8 * 8
