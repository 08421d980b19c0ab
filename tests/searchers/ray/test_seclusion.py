"""Ray executes whatever code reaches it: while a search runs, nobody else can reach it."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import pytest

_LISTENS = "0A"
_WORDS = 4
_STRANGER = """
import sys
from ray._raylet import GcsClient
GcsClient(address=f"127.0.0.1:{sys.argv[1]}").internal_kv_keys(b"", b"")
"""
_SEARCH = ("--space", "mixed", "--budget", "2", "--subset", "300", "--epochs", "1")

pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").is_file(), reason="looks into /proc")


def offspring(mark: str) -> list[Path]:
    """The processes that were started with this in their environment, as folders of /proc."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (path / "environ").read_bytes():
                found.append(path)
        except OSError:
            pass  # it has ended meanwhile, or is somebody else's
    return found


def sockets(processes: list[Path]) -> set[str]:
    """The numbers of all sockets that these processes hold."""
    found = set()
    for path in processes:
        try:
            links = [str(link.readlink()) for link in (path / "fd").iterdir()]
        except OSError:
            continue
        found |= {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    return found


def title(process: Path) -> str:
    """What a process calls itself; nothing if it has ended meanwhile."""
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return ""


def listening(processes: list[Path]) -> Iterator[tuple[str, int]]:
    """The addresses and ports at which these processes wait for connections."""
    held = sockets(processes)
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENS and fields[9] in held:
                address, _, port = fields[1].partition(":")
                yield readable(address), int(port, 16)


def readable(digits: str) -> str:
    """An address as people write it; the kernel prints its words in the machine's byte order."""
    packed = bytes.fromhex(digits)
    words = [packed[i : i + _WORDS] for i in range(0, len(packed), _WORDS)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    address = ip_address(b"".join(words))
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def start(*command: str, **more: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if "RAY" not in name}
    return subprocess.Popen(
        [sys.executable, *command],
        env=environment | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_search_listens_to_this_machine_only_and_to_no_stranger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mark = uuid.uuid4().hex
    search = start("-m", "searchers.run", *_SEARCH, CONVNAS_TEST=mark)
    stranger = None
    heard: set[str] = set()
    while search.poll() is None:
        family = offspring(mark)
        heard |= {address for address, _ in listening(family)}
        heads = [process for process in family if title(process) == "gcs_server"]
        for _, port in listening(heads):
            stranger = stranger or start("-c", _STRANGER, str(port), HOME=str(tmp_path))
        time.sleep(0.2)
    out, err = search.communicate()
    assert search.returncode == 0, out + err
    assert heard, "they do listen"
    assert all(ip_address(address).is_loopback for address in heard), heard
    assert stranger is not None
    out, err = stranger.communicate(timeout=60)
    assert stranger.returncode == 1, out + err
    assert "AuthenticationError" in err
