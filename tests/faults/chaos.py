"""Hurts drivers, workers and databases of real searches at random, and checks what is left.

    uv run python -m tests.faults.chaos --kills 100 --seed 1
    uv run python -m tests.faults.chaos --kills 100 --seed 1 --storage postgres

A search of a few dozen evaluations is started, hurt at random moments (also while it starts and
while it ends), and started again with the same command until its budget is reached; then the next
one. What is recorded must stay, or wait in files if the database is lost; at the end there are
exactly as many finished evaluations as the budget says, none doubled, no claim and no running trial
left, the front is that of the rows, and Optuna shows the same.
"""

import argparse
import contextlib
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import sqlalchemy as sa

from nas_space.cli import USAGE_ERROR
from tests.faults import invariants
from tests.faults.searching import Search, pause
from tests.servers import Postgres

_ENDS = {0, 130, -signal.SIGKILL, -signal.SIGTERM, 143}
_LONGEST = 30.0
"""Seconds from a start within which something happens: about as long as a whole run takes."""
_STOPPED_SECONDS = 60.0
_LOST = "while it was in use"
"""In the last line of a search whose file was deleted or replaced."""
_BUSY = "Ray does not start on this machine"
"""In the last line of a search on a machine that has other work."""

Harm = Callable[[Search], bool]
"""Does something bad to a search that runs; whether there was anything to be done."""


@dataclass
class Chaos:
    """Searches on one kind of database, and what happened to them.

    Attributes:
        chance: decides what happens when.
        budget: of each search.
        done: how often each kind of harm was done.
        reached: searches that reached their budget.
    """

    chance: random.Random
    budget: int
    done: Counter[str] = field(default_factory=Counter)
    reached: int = 0

    def live(self, search: Search, more: dict[str, Harm], kills: int) -> None:
        """Start a search again and again until it is through; harm it so many times at the most."""
        before: list[invariants.Row] = []
        hurt = 0
        while True:
            search.start()
            crashes, losses = self.done["database killed"], self._losses
            while search.running and hurt < kills:
                pause(self.chance.uniform(0.0, _LONGEST), search)
                hurt += self._harm(search, more)
                if self._losses > losses:
                    break  # who hurts it now takes what nobody else has
            code = search.wait(3600)
            lost = self._losses > losses
            if lost and code == 0:
                print("       too late: the search was over, and is begun anew", flush=True)
                before = []
                continue
            # A search that finds no database, or no time for Ray, says so, and is started again.
            excused = self.done["database killed"] > crashes or lost or _BUSY in search.said
            refused = code == USAGE_ERROR and excused
            assert code in _ENDS or refused, f"exit code {code}: {search.said}"
            assert "Traceback" not in search.said, search.said
            assert not lost or (code == USAGE_ERROR and _LOST in search.said), search.said
            after = invariants.kept(search.url, search.folder)
            invariants.check_kept(before, after)
            before = after
            if code == 0:
                break
        invariants.check(search.url, search.folder, search.budget)
        self.reached += 1

    @property
    def _losses(self) -> int:
        return self.done["database deleted"] + self.done["database replaced"]

    def _harm(self, search: Search, more: dict[str, Harm]) -> bool:
        """Do something bad to a search that runs; whether anything was done."""
        harms: dict[str, Harm] = {
            "driver killed": kill,
            "driver terminated": terminate,
            "driver interrupted": interrupt,
            "worker killed": self._kill_a_worker,
            "driver stopped": lambda search: stop(search, all_of_it=False),
            "all stopped": lambda search: stop(search, all_of_it=True),
        } | more
        if not search.running:
            return False
        # What gives no warning comes most often.
        names = [*harms, *more, "driver killed", "driver killed", "worker killed"]
        name = self.chance.choice(names)
        if not harms[name](search):
            return False
        self.done[name] += 1
        print(f"  {sum(self.done.values()):4} {name}", flush=True)
        return True

    def _kill_a_worker(self, search: Search) -> bool:
        workers = search.workers()
        for worker in self.chance.sample(workers, min(1, len(workers))):
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()
        return bool(workers)


def kill(search: Search) -> bool:
    """End the driver without a warning."""
    search.kill()
    return True


def terminate(search: Search) -> bool:
    """As a machine that shuts down does."""
    search.send(signal.SIGTERM)
    return True


def interrupt(search: Search) -> bool:
    """Ctrl-C."""
    search.send(signal.SIGINT)
    return True


def stop(search: Search, *, all_of_it: bool) -> bool:
    """Stop the driver for a minute, or all its processes too, as a suspended laptop does."""
    with search.stopped(all_of_it=all_of_it):
        time.sleep(_STOPPED_SECONDS)
    return True


@contextlib.contextmanager
def sqlite(chance: random.Random) -> Iterator[tuple[str, dict[str, Harm]]]:
    """A new file, and somebody who locks it for a while, deletes it, or puts back an older copy."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        path = Path(folder, "study.db")

        def lock(_: Search) -> bool:
            if path.exists():
                with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as stranger:
                    with contextlib.suppress(sqlite3.OperationalError):
                        stranger.execute("BEGIN EXCLUSIVE")
                    time.sleep(chance.uniform(0.5, 8.0))
            return path.exists()

        def delete(search: Search) -> bool:
            if not search.trains():  # nobody would have the rows any more
                return False
            for part in Path(folder).glob("study.db*"):
                part.unlink()
            return True

        def replace(search: Search) -> bool:
            if not search.trains():
                return False
            older = Path(folder, "older.db")
            with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(older)) as copy:
                source.backup(copy)
            pause(chance.uniform(1.0, 8.0), search)
            if not search.trains():
                return False
            older.rename(path)
            return True

        harms: dict[str, Harm] = {
            "database locked": lock,
            "database deleted": delete,
            "database replaced": replace,
        }
        yield f"sqlite:///{path}", harms


@contextlib.contextmanager
def postgres(chance: random.Random) -> Iterator[tuple[str, dict[str, Harm]]]:
    """A new database on a server of our own, which dies and comes back."""
    with Postgres() as server:

        def crash(_: Search) -> bool:
            server.stop(chance.choice([signal.SIGQUIT, signal.SIGKILL]))
            time.sleep(chance.uniform(0.2, 20.0))
            server.start()
            return True

        yield server.url, {"database killed": crash}


STORAGES = {"sqlite": sqlite, "postgres": postgres}


def run(storage: str, seed: int, kills: int, budget: int, kills_each: int) -> Chaos:
    """Harm searches until so much harm was done; raises AssertionError if one does not stand it."""
    chance = random.Random(seed)
    chaos = Chaos(chance, budget)
    while (left := kills - sum(chaos.done.values())) > 0:
        print(f"search {chaos.reached + 1}", flush=True)
        with (
            STORAGES[storage](chance) as (url, more),
            tempfile.TemporaryDirectory(prefix="faults-") as folder,
        ):
            chaos.live(Search(Path(folder), url, budget), more, min(left, kills_each))
    return chaos


def main(argv: Sequence[str]) -> int:
    """Harm searches, and print how often."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget", type=int, default=24, help="of each search")
    parser.add_argument("--kills-each", type=int, default=8, help="most harm to one search")
    parser.add_argument("--storage", choices=sorted(STORAGES), default="sqlite")
    given = parser.parse_args(argv)
    start = time.monotonic()
    print(f"seed {given.seed}, {given.storage}, SQLAlchemy {sa.__version__}", flush=True)
    chaos = run(given.storage, given.seed, given.kills, given.budget, given.kills_each)
    minutes = (time.monotonic() - start) / 60
    total = sum(chaos.done.values())
    print(f"\n{total} times harmed in {minutes:.0f} min: {dict(chaos.done)}")
    print(f"{chaos.reached} searches reached their budget of {given.budget}, none lost anything")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
