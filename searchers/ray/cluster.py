"""Where trials run: a Ray cluster, at the user's address or our own."""

import importlib
import logging
import os
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import cache
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

import nas_space
import searchers
import studies
import trainers
from nas_space import plugins
from nas_space.errors import reason
from searchers.ray.resources import ClusterError, Machine, Resources, cpus_for, resources_for
from searchers.settings import ClusterOptions
from trainers.machine import cores

# Ray and Tune read these when they are imported.
_RAY_SETTINGS = {
    # Under `uv run` Ray would start every worker with another `uv run`, which takes seconds.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Workers import these, which takes seconds, before the first trial comes. Where convnas is not
    # installed, its modules fail; Ray writes that to its own log and imports the rest.
    "RAY_preload_python_modules": "torch,ray.tune,searchers.ray.worker,searchers.ray.evaluator",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # The database is the record: no CSV, JSON and TensorBoard files, no frequent checkpoints.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
# Ray prints messages about dead workers at every log level; the rows of their trials hold them too.
_QUIET_SETTINGS = {"RAY_DEDUP_LOGS_SKIP_REGEX": "."}
_SAID_AFTER_SECONDS = 30.0
"""Ray starts in seconds: later the user is told what is waited for."""
_SOCKET_PATH_BYTES = 107
"""The longest path of a socket in Linux. SLURM gives each job a long temporary folder."""
_SOCKET = b"/ray/session_2026-12-01_00-00-00_000000_4194304/sockets/plasma_store"
_LEAST_ROOM_BYTES = 64 * 2**20
"""Logs, sockets and code of a Ray that runs for an hour took 57 MiB."""
_KNOCK_SECONDS = 10.0
_PORT_COUNT = 2**16
# HTTP/2, RFC 9113: a client begins with this text and an empty SETTINGS frame (3 bytes of length,
# the type, the flags, 4 bytes of stream); the server's first frame is a SETTINGS frame too.
_SETTINGS_FRAME = 4
_FRAME_HEAD_BYTES, _FRAME_TYPE_BYTE = 9, 3
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, _SETTINGS_FRAME, 0, 0, 0, 0, 0))


class Cluster:
    """The Ray cluster at the user's address, or our own, which ends with the context.

    It starts in a thread. Its workers import modules for trials while the driver does its own
    imports and reads data: both take seconds.

    Args:
        options: of the user.
        verbose: whether Ray may speak.

    Raises:
        ClusterError: nothing answers at the address, this machine is too small for a trial, or its
            temporary folder is full.
    """

    def __init__(self, options: ClusterOptions, *, verbose: bool) -> None:
        if options.address is None:
            # Only Ray knows what GPUs there are.
            resources_for(options, {"CPU": float(cores()), "GPU": options.gpus or 0.0})
            _check_room()
        else:
            _knock(options.address)
        self._options = options
        self._verbose = verbose
        self._before: dict[str, str] = {}
        self._found: Future[Resources] = Future()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self) -> Self:
        """Start it in the background."""
        settings = _RAY_SETTINGS | (_secluded() if self._options.address is None else _admitted())
        settings |= {} if self._verbose else _QUIET_SETTINGS
        settings |= _short_place() if self._options.address is None else {}
        self._before = _rays_environment()
        # The user's own settings win.
        os.environ.update(settings | self._before)
        # Before the thread starts: two threads that import at once slow each other down, and Ray's
        # processes would start later.
        importlib.import_module("ray")
        self._thread.start()
        return self

    def resources(self, say: Callable[[str], None]) -> Resources:
        """What trials get; waits until the cluster runs.

        Args:
            say: gets a line if that takes long.

        Raises:
            ClusterError: it cannot be reached, or is too small for a trial.
        """
        done, _ = wait([self._found], _SAID_AFTER_SECONDS)
        if not done:
            say("Ray has not started yet: this machine is busy, or the cluster does not answer")
        return self._found.result()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the cluster, or end it if it is ours."""
        self._over.set()
        self._thread.join()
        # A notebook may use another cluster next. Ray sets some of these variables itself.
        for name in _rays_environment().keys() - self._before.keys():
            del os.environ[name]

    def _live(self) -> None:
        try:
            self._found.set_result(self._start())
        except BaseException as error:  # noqa: BLE001 - `resources` raises it
            self._found.set_exception(error)
        # Linux kills Ray's processes when the thread that started them ends.
        self._over.wait()
        import ray  # noqa: PLC0415 - imported before, by `__enter__`

        ray.shutdown()

    def _start(self) -> Resources:
        import ray  # noqa: PLC0415 - imported before, by `__enter__`

        address = self._options.address
        # "local": never the cluster of RAY_ADDRESS or of a running `ray start`.
        local = {
            "address": "local",
            "num_cpus": cpus_for(self._options, cores(), _gpus_in_sight()),
            "include_dashboard": False,
        }
        # Another machine has no copy of our packages: Ray sends them.
        # Nor does its environment name the plugins.
        named = {plugins.VARIABLE: ",".join(plugins.named())}
        carried = {"py_modules": _packages(), "env_vars": named}
        remote: dict[str, Any] = {"address": address, "runtime_env": carried}
        try:
            ray.init(
                **(local if address is None else remote),
                log_to_driver=self._verbose,
                logging_level=logging.INFO if self._verbose else logging.CRITICAL,
            )
        except Exception as error:
            # Ray raises plain exceptions where its processes do not start in time.
            said = reason(error).rstrip(".")
            if address is None:
                raise ClusterError(
                    f"Ray does not start on this machine: {said}; give the same "
                    "command again, when the machine is less busy"
                ) from error
            raise ClusterError(
                f"no Ray cluster at {address}: {said}; does it ask for a token that "
                "this machine does not have (docs/cluster.md)?"
            ) from error
        return resources_for(self._options, *machines())


def _rays_environment() -> dict[str, str]:
    prefixes = ("RAY_", "TUNE_")
    return {name: value for name, value in os.environ.items() if name.startswith(prefixes)}


@cache
def _secluded() -> dict[str, str]:
    """Settings of a cluster for us alone: Ray executes any code that reaches it.

    By default Ray listens on all addresses of a Linux machine. With the first setting, its default
    on a Mac, it expects no other machine and listens on the loopback address only. The token, which
    Ray checks since 2.60, keeps out other users of this machine; it is not written to a file. Ray
    reads it once per process, so all clusters of a process share it.
    """
    return {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }


def _admitted() -> dict[str, str]:
    """Settings with which a cluster that asks for a token lets us in.

    `ray start` asks for one wherever there is one (Ray 2.60); `ray.init` shows it only if told to.
    """
    places = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    known = any(map(os.environ.get, places)) or Path("~/.ray/auth_token").expanduser().is_file()
    return {"RAY_AUTH_MODE": "token"} if known else {}


def _check_room() -> None:
    """See that Ray can write where it will: it would wait for its own files, and not say why."""
    place = os.environ.get("RAY_TMPDIR") or _short_place().get("RAY_TMPDIR", tempfile.gettempdir())
    try:
        free = shutil.disk_usage(place).free
    except OSError:
        return  # Ray makes the folder, or says what is wrong with it
    if free < _LEAST_ROOM_BYTES:
        raise ClusterError(
            f"the temporary folder {place} is full: {free / 2**20:.0f} MiB are free, and Ray needs "
            f"{_LEAST_ROOM_BYTES // 2**20}; delete what is not needed there, or name another "
            "folder with TMPDIR"
        )


def _short_place() -> dict[str, str]:
    """Where our cluster has its sockets, if the temporary folder's path is too long for theirs."""
    fits = len(os.fsencode(tempfile.gettempdir()) + _SOCKET) <= _SOCKET_PATH_BYTES
    return {} if fits else {"RAY_TMPDIR": "/tmp"}  # noqa: S108 - Ray makes a folder for each user's run


def _packages() -> list[str]:
    packages: list[ModuleType] = [nas_space, trainers, studies, searchers]
    return [str(Path(str(package.__file__)).parent) for package in packages]


def _knock(address: str) -> None:
    """See whether a cluster answers: Ray itself would try a dead address for minutes."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port[:6]) < _PORT_COUNT:
        raise ClusterError(f"--address must be HOST:PORT, not {address!r}")
    try:
        with socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS) as door:
            # A cluster with TLS does not answer an unencrypted greeting.
            known = "RAY_USE_TLS" in os.environ or _speaks_grpc(door)
    except UnicodeError:  # of a host's name that cannot be one
        raise ClusterError(f"--address must be HOST:PORT, not {address!r}") from None
    except OSError as error:
        raise ClusterError(
            f"no Ray cluster at {address}: {error.strerror or error}; start one there with "
            "`ray start --head`, or leave --address out"
        ) from None
    if not known:
        raise ClusterError(f"what listens at {address} is no Ray cluster; see `ray status` there")


def _speaks_grpc(door: socket.socket) -> bool:
    """Whether the other side speaks HTTP/2, as Ray's head does (gRPC)."""
    door.sendall(_GREETING)
    head = door.makefile("rb").read(_FRAME_HEAD_BYTES)
    return len(head) == _FRAME_HEAD_BYTES and head[_FRAME_TYPE_BYTE] == _SETTINGS_FRAME


def _gpus_in_sight() -> int:
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def machines() -> list[Machine]:
    """The machines of the cluster now, as they are when they do nothing else."""
    import ray  # noqa: PLC0415 - imported before, by `Cluster.__enter__`

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"] for node in nodes if node["Alive"]]
