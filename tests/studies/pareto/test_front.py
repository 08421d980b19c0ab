"""Laws of Pareto fronts, hypervolumes and knees."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.pareto.front import accuracy_of, front, near_front, ranked
from studies.pareto.hypervolume import hypervolume
from studies.pareto.knee import knee

BOUNDS = (10, 100_000)


@dataclass(frozen=True)
class Point:
    val_accuracy: float | None
    cost: float


points = st.builds(
    Point,
    st.none() | st.floats(0, 1),
    st.integers(*BOUNDS) | st.sampled_from([10, 20, 30]),
)
clouds = st.lists(points, max_size=30)


def dominates(a: Point, b: Point) -> bool:
    if a.val_accuracy is None or b.val_accuracy is None:
        return False
    at_least = a.val_accuracy >= b.val_accuracy and a.cost <= b.cost
    return at_least and (a.val_accuracy > b.val_accuracy or a.cost < b.cost)


@given(clouds)
def test_nothing_dominates_a_member_and_members_dominate_or_equal_all_others(
    cloud: list[Point],
) -> None:
    members = front(cloud)
    assert not any(dominates(other, member) for member in members for other in cloud)
    for point in cloud:
        if point.val_accuracy is not None and point not in members:
            assert any(dominates(member, point) for member in members)


@given(clouds, st.floats(0, 1))
def test_near_the_front_is_what_no_cheaper_point_exceeds_by_more(
    cloud: list[Point], below: float
) -> None:
    found = near_front(cloud, below)
    finished = [point for point in cloud if point.val_accuracy is not None]
    for point in finished:
        most = max(accuracy_of(p) for p in finished if p.cost <= point.cost)
        assert (point in found) == (accuracy_of(point) >= most - below)
    assert all(member in found for member in front(cloud))


@given(clouds)
def test_a_front_ascends_in_cost_and_in_accuracy_and_is_its_own_front(cloud: list[Point]) -> None:
    members = front(cloud)
    assert members == sorted(members, key=lambda p: p.cost)
    assert members == sorted(members, key=lambda p: p.val_accuracy or 0)
    assert front(members) == members


@given(clouds.flatmap(lambda cloud: st.tuples(st.just(cloud), st.permutations(cloud))))
def test_the_order_of_the_evaluations_does_not_matter(
    orders: tuple[list[Point], list[Point]],
) -> None:
    first, second = orders
    assert set(front(first)) == set(front(second))


@given(clouds, points)
def test_another_point_never_lowers_the_hypervolume(cloud: list[Point], point: Point) -> None:
    before, after = hypervolume(cloud, BOUNDS), hypervolume([*cloud, point], BOUNDS)
    assert 0 <= before <= after + 1e-12 <= 1 + 1e-9


@given(clouds)
def test_ranking_takes_front_after_front_and_leaves_nobody_out(cloud: list[Point]) -> None:
    best_first = ranked(cloud)
    finished = [point for point in cloud if point.val_accuracy is not None]
    assert len(best_first) == len(finished)
    assert set(best_first) == set(finished)
    while best_first:
        members = front(best_first)
        assert set(best_first[: len(members)]) == set(members)
        best_first = best_first[len(members) :]


def test_within_a_front_the_ends_and_then_the_lonely_come_first() -> None:
    ends = [Point(0.1, 10), Point(0.9, 100_000)]
    lonely, crowd = Point(0.5, 1000), [Point(0.11, 11), Point(0.12, 12)]
    best_first = ranked([*crowd, lonely, *ends])
    assert set(best_first[:2]) == set(ends)
    assert best_first[2] is lonely


def test_hypervolumes_that_are_known() -> None:
    assert hypervolume([], BOUNDS) == 0
    assert hypervolume([Point(1.0, 10)], BOUNDS) == pytest.approx(1)
    assert hypervolume([Point(0.5, 10)], BOUNDS) == pytest.approx(0.5)
    # Half-way on the log scale
    assert hypervolume([Point(0.8, 1000)], BOUNDS) == pytest.approx(0.4)
    two = [Point(0.4, 10), Point(0.8, 1000)]
    assert hypervolume(two, BOUNDS) == pytest.approx(0.2 + 0.4)


def test_the_knee_is_where_the_curve_bends() -> None:
    bend = Point(0.9, 1000)
    members = [Point(0.1, 100), bend, Point(0.92, 100_000)]
    assert knee(members) is bend
    assert knee([bend]) is bend
    # More cost pays ever more.
    assert knee([Point(0.1, 10), Point(0.2, 100), best := Point(0.9, 1000)]) is best
    assert knee([Point(0.1, 1), Point(0.2, 10), best := Point(0.3, 100)]) is best, "all on the line"
    assert knee([Point(0.5, 10), Point(0.5, 10)]) == Point(0.5, 10)
