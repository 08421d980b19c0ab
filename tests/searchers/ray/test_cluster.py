"""What a trial gets of a machine, and what is said where it is too small."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from searchers.ray.cluster import Cluster, ClusterError, Resources, cpus_for, plan
from searchers.settings import Wishes

LAPTOP = {"CPU": 2.0}
SERVER = {"CPU": 16.0, "GPU": 2.0}


@pytest.mark.parametrize(
    ("wishes", "have", "planned"),
    [
        (Wishes(), LAPTOP, Resources(2, 1.0, 0.0)),
        (Wishes(concurrency=1), LAPTOP, Resources(1, 1.0, 0.0)),
        (Wishes(concurrency=4), LAPTOP, Resources(4, 0.5, 0.0)),
        (Wishes(cpus=2.0), LAPTOP, Resources(1, 2.0, 0.0)),
        (Wishes(cpus=0.5), LAPTOP, Resources(4, 0.5, 0.0)),
        (Wishes(cpus=1.0, concurrency=9), LAPTOP, Resources(2, 1.0, 0.0)),
        (Wishes(), SERVER, Resources(8, 1.0, 0.25)),
        (Wishes(gpus=1.0), SERVER, Resources(2, 1.0, 1.0)),
        (Wishes(gpus=0.0), SERVER, Resources(16, 1.0, 0.0)),
        (Wishes(cpus=0.0, gpus=0.1), SERVER, Resources(20, 0.0, 0.1)),
        (Wishes(cpus=0.0, concurrency=4), LAPTOP, Resources(4, 0.0, 0.0)),
    ],
    ids=str,
)
def test_what_is_left_open_is_filled_in(
    wishes: Wishes, have: dict[str, float], planned: Resources
) -> None:
    assert plan(wishes, have) == planned


@pytest.mark.parametrize(
    ("wishes", "reason"),
    [
        (Wishes(cpus=3.0), "a trial wants 3 CPUs but there are 2; lower --cpus-per-trial"),
        (Wishes(gpus=0.5), "a trial wants 0.5 GPUs but there are 0; lower --gpus-per-trial"),
    ],
)
def test_a_trial_that_fits_nowhere_is_refused(wishes: Wishes, reason: str) -> None:
    with pytest.raises(ClusterError, match=reason):
        plan(wishes, LAPTOP)


@pytest.mark.parametrize(
    "wishes",
    [Wishes(cpus=0.00001), Wishes(gpus=0.0001), Wishes(gpus=1.5), Wishes(concurrency=999_999_999)],
    ids=str,
)
def test_shares_that_ray_cannot_give_are_refused(wishes: Wishes) -> None:
    with pytest.raises(ClusterError, match=r"shares are at least 0\.001"):
        plan(wishes, SERVER)


@pytest.mark.parametrize(
    ("wishes", "cores", "gpus", "told"),
    [
        (Wishes(), 16, 0, 16),
        (Wishes(), 64, 2, 8),
        (Wishes(concurrency=3), 16, 0, 3),
        (Wishes(cpus=0.5), 2, 0, 2),
        (Wishes(cpus=0.0, concurrency=4), 16, 1, 4),
        (Wishes(cpus=0.5, concurrency=2), 2, 0, 2),
        (Wishes(gpus=1.0), 16, 0, 16),
    ],
    ids=str,
)
def test_ray_prepares_no_more_processes_than_trials_need(
    wishes: Wishes, cores: int, gpus: int, told: int
) -> None:
    assert cpus_for(wishes, cores, gpus) == told


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
        Cluster(Wishes(address=address), verbose=False)


def test_a_server_that_speaks_grpc_may_be_a_cluster(server: Callable[[bytes], str]) -> None:
    settings = b"\0\0\6" + b"\4" + b"\0" * 5 + b"\0\3\0\0\0\1"
    Cluster(Wishes(address=server(settings)), verbose=False)
