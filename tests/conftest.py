"""Stores on real databases."""

import os
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import sqlalchemy as sa
import torch
from hypothesis import HealthCheck, settings

from nas_space.spaces.registry import get
from studies.records.optuna_mirror import OptunaMirror
from studies.records.store import Store
from tests.examples import study
from tests.servers import Postgres

# A shell that starts us in the background has us ignore Ctrl-C, and so would the commands that are
# tested.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests share two cores with each other: how long an example takes says nothing.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

# Decoded images of tests are not kept among those of whoever runs them.
_KEPT = tempfile.TemporaryDirectory(prefix="convnas-images-")
os.environ["CONVNAS_IMAGES"] = _KEPT.name

# Small tensors gain nothing from a second thread, and on a busy machine they wait for it, Optuna's
# GP for minutes.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server: the one that CONVNAS_TEST_POSTGRES names, or our own."""
    named = os.environ.get("CONVNAS_TEST_POSTGRES")
    if named:
        yield named
        return
    with Postgres() as server:
        yield server.url


@pytest.fixture(scope="session")
def mariadb() -> str:
    """The URL of a MariaDB or MySQL server, if there is one."""
    url = os.environ.get("CONVNAS_TEST_MARIADB", "mysql+pymysql://root@127.0.0.1:3306/mysql")
    try:
        with closing(sa.create_engine(url).connect()):
            return url
    except sa.exc.OperationalError:
        pytest.skip("no MariaDB server: set CONVNAS_TEST_MARIADB to the URL of one")


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of its own, on each kind of server; the server's is dropped afterwards."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    server = sa.make_url(request.getfixturevalue(request.param))
    name = f"convnas_{uuid.uuid4().hex[:12]}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
        yield server.set(database=name).render_as_string(hide_password=False)
        force = " WITH (FORCE)" if request.param == "postgres" else ""
        connection.execute(sa.text(f"DROP DATABASE {name}{force}"))
    engine.dispose()


@pytest.fixture
def mirror(url: str) -> Iterator[Callable[[str], OptunaMirror]]:
    """Opens mirrors of studies in the database, and closes them."""
    with ExitStack() as opened:

        def make(name: str) -> OptunaMirror:
            shown = study(name)
            catalogue = get("mixed").catalogue()
            return opened.enter_context(closing(OptunaMirror(url, shown, catalogue)))

        yield make


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url, create=True)
    yield opened
    opened.close()
