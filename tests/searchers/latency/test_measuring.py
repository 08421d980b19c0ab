"""Latencies measured for real: on this machine, and by a command of the user's."""

import sys
from pathlib import Path

import pytest

from nas_space.costs.cost import Task
from nas_space.spaces.residual import ResidualSpace
from searchers.latency.device import LatencyDevice, latency
from searchers.latency.errors import LatencyError
from searchers.latency.model import LatencyModel
from searchers.latency.obtaining import networks, obtain
from searchers.latency.processes import run_ours
from studies.runtimes.timing import Timing

TASK = Task(3, (16, 16), 10)
FEW = ResidualSpace("few", ("regular", "xception"), widths=((16,),), depths=(1,))

SCRIPT = """
import statistics, sys, time
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options)
shape = session.get_inputs()[0].shape
assert shape == [8, 3, 16, 16], shape
times = []
for _ in range(20):
    start = time.perf_counter()
    session.run(None, {"images": numpy.zeros(shape, "float32")})
    times.append(time.perf_counter() - start)
print("warming up")
print(f"{1000 * statistics.median(times)} ms")
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def command(folder: Path, text: str) -> str:
    script = folder / "measure.py"
    script.write_text(text)
    return f"{sys.executable} {script} {{model}}"


def test_this_machine_is_measured_once_and_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    said: list[str] = []
    model = obtain(FEW, TASK, said.append)
    assert said[-1].startswith("timing layers: ")
    every = networks(FEW, 40)
    assert len(every) == FEW.size() == model.accuracy.networks == 4
    assert all(1e-6 < model.predict(network) < 1 for network in every)
    assert "1 thread" in model.device

    said.clear()
    assert obtain(FEW, TASK, said.append) == model
    assert not said
    (file,) = tmp_path.glob(".cache/convnas/latency/*.json")
    file.write_bytes(file.read_bytes()[:-20])
    assert isinstance(obtain(FEW, TASK, said.append), LatencyModel)
    assert said
    assert not list(tmp_path.glob(".cache/convnas/latency/*.part"))


@pytest.mark.slow
def test_a_device_is_measured_by_its_users_command_for_the_batch_asked_for(tmp_path: Path) -> None:
    said: list[str] = []
    device = LatencyDevice(command(tmp_path, SCRIPT))
    model = obtain(FEW, TASK, said.append, Timing(batch=8), device)
    assert "measured on the device: 4 of 4 networks" in said
    assert all(1e-6 < model.predict(network) < 1 for network in networks(FEW, 30))
    assert device.command in model.device
    assert model.device.endswith("batches of 8")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("raise SystemExit('no route to host')", "ended with code 1: no route to host"),
        ("print('fast')", "printed 'fast' as its last line"),
        ("print('-1')", "printed '-1'"),
        ("print('nan')", "printed 'nan'"),
        ("print('0')", "printed '0'"),
        ("pass", "printed ''"),
        ("import time; time.sleep(60)", "took longer than 2 s"),
    ],
)
def test_a_command_that_gives_no_latency_is_one_line(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(LatencyError, match=complaint) as error:
        LatencyDevice(command(tmp_path, text), timeout=2).seconds(tmp_path / "a.onnx")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("python measure.py", "has no {model}"),
        ("", "has no {model}"),
        ("echo '{model}", "No closing quotation"),
    ],
)
def test_a_line_that_is_no_command_is_refused_before_anything_is_measured(
    line: str, complaint: str
) -> None:
    with pytest.raises(LatencyError, match=complaint):
        LatencyDevice(line)


def test_a_program_that_is_not_there_is_one_line() -> None:
    with pytest.raises(LatencyError, match=r"cannot be run: .*No such file"):
        LatencyDevice("/no/such/program {model}").seconds(Path("a.onnx"))


def test_a_latency_may_have_a_unit() -> None:
    assert [latency(t) for t in ("0.002", "2 ms", "2000us", "2e-3 s")] == pytest.approx([2e-3] * 4)


def test_a_measuring_process_that_fails_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(LatencyError, match=r"could not be measured: .*No such file"):
        run_ours("searchers.latency.measuring", [tmp_path / "a", tmp_path / "b"], "", print)
