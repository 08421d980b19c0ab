"""Costs beside MACs: in rows, and in the table of a front."""

from rich.console import Console

from nas_space.costs.cost import Cost
from studies.objective import MACS, OBJECTIVES
from studies.pareto.table import table
from studies.records import costs
from studies.records.tables import Evaluation
from tests.examples import evaluation, study


def drawn(member: Evaluation) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table([member], MACS))
    return captured.get()


def test_a_row_says_what_its_network_costs_and_on_which_device() -> None:
    cost = Cost(10, 20, 30, 0.5)
    found = costs.columns(cost, MACS, "here")
    assert found == {
        "cost": 20,
        "params": 10,
        "macs": 20,
        "activation_memory": 30,
        "latency": 0.5,
        "latency_device": "here",
        "costs": {},
    }
    assert costs.columns(cost, OBJECTIVES.get("latency"), "here")["cost"] == 0.5
    assert costs.columns(Cost(10, 20, 30), MACS, "here")["latency_device"] is None


def test_a_front_shows_memory_and_latency_where_rows_have_them() -> None:
    member = evaluation(study(), 0, 0.9)
    assert "memory" not in drawn(member)
    assert "latency" not in drawn(member)
    member.activation_memory, member.latency = 49_152, 0.00123
    assert "49.2kB" in drawn(member)
    assert "1.23 ms" in drawn(member)
