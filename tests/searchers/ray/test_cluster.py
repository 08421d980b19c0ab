"""What a trial gets of a machine, and what is said where it is too small."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from searchers.ray.cluster import Cluster
from searchers.ray.resources import ClusterError, Resources, cpus_for, resources_for
from searchers.settings import ClusterOptions
from tests.small_disk import small_disk

_STARTED = """
from searchers.ray.cluster import Cluster
from searchers.settings import ClusterOptions
with Cluster(ClusterOptions(concurrency=1), verbose=False) as cluster:
    print(cluster.resources(print).concurrency)
"""
LAPTOP = {"CPU": 2.0}
SERVER = {"CPU": 16.0, "GPU": 2.0}


@pytest.mark.parametrize(
    ("options", "have", "planned"),
    [
        (ClusterOptions(), LAPTOP, Resources(2, 1.0, 0.0)),
        (ClusterOptions(concurrency=1), LAPTOP, Resources(1, 1.0, 0.0)),
        (ClusterOptions(concurrency=4), LAPTOP, Resources(4, 0.5, 0.0)),
        (ClusterOptions(cpus=2.0), LAPTOP, Resources(1, 2.0, 0.0)),
        (ClusterOptions(cpus=0.5), LAPTOP, Resources(4, 0.5, 0.0)),
        (ClusterOptions(cpus=1.0, concurrency=9), LAPTOP, Resources(2, 1.0, 0.0)),
        (ClusterOptions(), SERVER, Resources(8, 1.0, 0.25)),
        (ClusterOptions(gpus=1.0), SERVER, Resources(2, 1.0, 1.0)),
        (ClusterOptions(gpus=0.0), SERVER, Resources(16, 1.0, 0.0)),
        (ClusterOptions(cpus=0.0, gpus=0.1), SERVER, Resources(20, 0.0, 0.1)),
        (ClusterOptions(cpus=0.0, concurrency=4), LAPTOP, Resources(4, 0.0, 0.0)),
    ],
    ids=str,
)
def test_what_is_left_open_is_filled_in(
    options: ClusterOptions, have: dict[str, float], planned: Resources
) -> None:
    assert resources_for(options, have) == planned


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (ClusterOptions(cpus=3.0), "a trial wants 3 CPUs but there are 2; lower --cpus-per-trial"),
        (
            ClusterOptions(gpus=0.5),
            "a trial wants 0.5 GPUs but there are 0; lower --gpus-per-trial",
        ),
    ],
)
def test_a_trial_that_fits_nowhere_is_refused(options: ClusterOptions, reason: str) -> None:
    with pytest.raises(ClusterError, match=reason):
        resources_for(options, LAPTOP)


@pytest.mark.parametrize(
    "options",
    [
        ClusterOptions(cpus=0.00001),
        ClusterOptions(gpus=0.0001),
        ClusterOptions(gpus=1.5),
        ClusterOptions(concurrency=999_999_999),
    ],
    ids=str,
)
def test_shares_that_ray_cannot_give_are_refused(options: ClusterOptions) -> None:
    with pytest.raises(ClusterError, match=r"shares are at least 0\.001"):
        resources_for(options, SERVER)


@pytest.mark.parametrize(
    ("options", "cores", "gpus", "told"),
    [
        (ClusterOptions(), 16, 0, 16),
        (ClusterOptions(), 64, 2, 8),
        (ClusterOptions(concurrency=3), 16, 0, 3),
        (ClusterOptions(cpus=0.5), 2, 0, 2),
        (ClusterOptions(cpus=0.0, concurrency=4), 16, 1, 4),
        (ClusterOptions(cpus=0.5, concurrency=2), 2, 0, 2),
        (ClusterOptions(gpus=1.0), 16, 0, 16),
    ],
    ids=str,
)
def test_ray_prepares_no_more_processes_than_trials_need(
    options: ClusterOptions, cores: int, gpus: int, told: int
) -> None:
    assert cpus_for(options, cores, gpus) == told


@pytest.fixture
def server() -> Iterator[Callable[[bytes], str]]:
    """Starts servers that give every caller one answer; gives their addresses."""
    with ExitStack() as opened:

        def start(answer: bytes) -> str:
            listener = opened.enter_context(closing(socket.create_server(("127.0.0.1", 0))))

            def serve() -> None:
                caller, _ = listener.accept()
                with caller:
                    caller.recv(1000)
                    caller.sendall(answer)

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            opened.callback(thread.join)
            return "127.0.0.1:" + str(listener.getsockname()[1])

        yield start


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0\0",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"-ERR unknown command 'PRI'\r\n",
        bytes(9),
    ],
    ids=ascii,
)
def test_a_server_that_is_no_ray_cluster_is_told_at_once(
    answer: bytes, server: Callable[[bytes], str]
) -> None:
    address = server(answer)
    with pytest.raises(ClusterError, match=f"what listens at {address} is no Ray cluster"):
        Cluster(ClusterOptions(address=address), verbose=False)


def test_a_server_that_speaks_grpc_may_be_a_cluster(server: Callable[[bytes], str]) -> None:
    settings = b"\0\0\6" + b"\4" + b"\0" * 5 + b"\0\3\0\0\0\1"
    Cluster(ClusterOptions(address=server(settings)), verbose=False)


def test_ray_that_does_not_start_in_time_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    # It cannot be made to happen: Ray raises this where a machine is too busy.
    def late(**_: object) -> None:
        time.sleep(0.5)
        raise Exception("The current node timed out during startup.\nMore of it.")  # noqa: TRY002

    monkeypatch.setattr("ray.init", late)
    monkeypatch.setattr("searchers.ray.cluster._SAID_AFTER_SECONDS", 0.1)
    said: list[str] = []
    with (
        Cluster(ClusterOptions(), verbose=False) as cluster,
        pytest.raises(ClusterError, match=r"Ray does not start .*: The current node timed out dur"),
    ):
        cluster.resources(said.append)
    assert said == ["Ray has not started yet: this machine is busy, or the cluster does not answer"]


@pytest.mark.parametrize("place", ["RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "file", None])
def test_a_token_is_shown_to_a_cluster_where_there_is_one(
    place: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    server: Callable[[bytes], str],
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("ray.init", lambda **_: None)
    monkeypatch.setattr("searchers.ray.cluster.machines", lambda: [{"CPU": 1.0}])
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    if place == "file":
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray/auth_token").write_text("secret")
    elif place is not None:
        monkeypatch.setenv(place, "secret")
    address = server(b"\0\0\6" + b"\4" + b"\0" * 5 + b"\0\3\0\0\0\1")
    with Cluster(ClusterOptions(address=address), verbose=False) as cluster:
        cluster.resources(pytest.fail)
        assert os.environ.get("RAY_AUTH_MODE") == (None if place is None else "token")
    assert "RAY_AUTH_MODE" not in os.environ


def test_a_full_temporary_folder_is_named_before_ray_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Not in pytest's folder, whose path may be too long for Ray's sockets.
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as short,
        small_disk(Path(short, "tiny"), "8m") as disk,
    ):
        monkeypatch.delenv("RAY_TMPDIR", raising=False)
        monkeypatch.setattr("tempfile.tempdir", str(disk))
        with pytest.raises(ClusterError) as caught:
            Cluster(ClusterOptions(), verbose=False)
    assert f"the temporary folder {disk} is full: 8 MiB are free" in str(caught.value)
    assert "TMPDIR" in str(caught.value)


_NAMED = """
import os
from ray.cluster_utils import Cluster as Started
started = Started(initialize_head=True, head_node_args={"num_cpus": 1})
os.environ["CONVNAS_PLUGINS"] = "colorsys,math"
import ray
from searchers.ray.cluster import Cluster
from searchers.settings import ClusterOptions
with Cluster(ClusterOptions(address=started.address), verbose=False) as cluster:
    cluster.resources(print)
    print(ray.get(ray.remote(lambda: os.environ.get("CONVNAS_PLUGINS")).remote()))
started.shutdown()
"""


@pytest.mark.slow
def test_workers_of_a_cluster_that_runs_already_know_the_plugins() -> None:
    hidden = ("RAY_", "CONVNAS_")
    environment = {n: v for n, v in os.environ.items() if not n.startswith(hidden)}
    done = subprocess.run(
        [sys.executable, "-c", _NAMED], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["colorsys,math"], done.stderr


@pytest.mark.slow
def test_it_starts_where_the_temporary_folder_has_a_long_path(tmp_path: Path) -> None:
    place = tmp_path / ("x" * 60)  # as SLURM gives each job
    place.mkdir()
    environment = {n: v for n, v in os.environ.items() if not n.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", _STARTED],
        env=environment | {"TMPDIR": str(place)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
