"""Types from outside of convnas are looked at before a search: they are what they say."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

import pytest
from torch import Tensor, nn

from nas_space.convs import TYPES, Conv, InvalidChoiceError
from nas_space.convs.base import Size, area, out_size
from nas_space.costs.cost import Task
from nas_space.registry import given
from nas_space.spaces.registry import find

TASK = Task(1, (8, 8), 10)
Made = Callable[[int, int, int], nn.Module]


def dense(c_in: int, c_out: int, stride: int) -> nn.Module:
    return nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False)


class Halves(nn.Module):
    """A module that is no layer of torch's, and that an export cannot spell."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.conv = dense(c_in, c_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        halved: Tensor = self.conv(x) / 2
        return halved


@dataclass(frozen=True, kw_only=True)
class Mine(Conv):
    """A type of a user's own, whose parts each test replaces."""

    kind: ClassVar[str] = "mine"
    paper: ClassVar[str] = "nobody"
    made: ClassVar[Made] = staticmethod(dense)
    counted: ClassVar[tuple[int, int]] = (0, 0)

    @classmethod
    def candidates(cls, c_in: int, c_out: int) -> tuple[Self, ...]:  # noqa: ARG003
        return (cls(),)

    def unsupported_reason(self, c_in: int, c_out: int) -> str | None:  # noqa: ARG002
        return None

    def build(self, c_in: int, c_out: int, stride: int = 1) -> nn.Module:
        return type(self).made(c_in, c_out, stride)

    def params(self, c_in: int, c_out: int) -> int:
        return 9 * c_in * c_out + self.counted[0]

    def macs(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:
        return 9 * c_in * c_out * area(out_size(size, stride)) + self.counted[1]


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    known = dict(TYPES._known()) | {"mine": given("mine", Mine, __name__)}
    monkeypatch.setattr(TYPES, "_entries", known)


def test_one_that_is_what_it_says_is_taken() -> None:
    assert "mine" in find("mine", TASK).kinds


def broken(_c_in: int, _c_out: int, _stride: int) -> nn.Module:
    raise KeyError("oops")


def narrow(c_in: int, c_out: int, stride: int) -> nn.Module:
    return nn.Conv2d(c_in, c_out, 3, stride, bias=False)


@pytest.mark.parametrize(
    ("made", "counted", "said"),
    [
        (broken, (0, 0), r"from 4 to 4 channels with stride 1, fails: KeyError: 'oops'"),
        (narrow, (0, 0), r"gives 2×4×6×6, not 2×4×8×8"),
        (dense, (5, 0), r"says params 149, and its module has 144"),
        (dense, (0, -9), r"says macs 9,207 for a map of 8×8, and its module has 9,216"),
        (Halves, (0, 0), r"Halves is none of torch's own layers, .* give it a `layer`"),
    ],
)
def test_one_that_is_not_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, made: Made, counted: tuple[int, int], said: str
) -> None:
    monkeypatch.setattr(Mine, "made", staticmethod(made))
    monkeypatch.setattr(Mine, "counted", counted)
    with pytest.raises(InvalidChoiceError, match=said) as refused:
        find("mine", TASK)
    assert "\n" not in str(refused.value)


def test_one_that_offers_nothing_that_can_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mine, "candidates", classmethod(lambda _cls, _c_in, _c_out: None))
    with pytest.raises(InvalidChoiceError, match=r"the type mine of .* cannot say what it offers"):
        Mine.settings(4, 4)
