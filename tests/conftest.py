"""Stores on real databases."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import sqlalchemy as sa
import torch

from nas_space.spaces import get
from studies.mirror import Mirror
from studies.store import Store

# Small tensors gain nothing from a second thread, and on a busy machine they wait for it, Optuna's
# GP for minutes.
torch.set_num_threads(1)

POSTGRES = os.environ.get("CONVNAS_TEST_POSTGRES", "postgresql+psycopg://root@127.0.0.1:5432/test")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of its own, on each kind of server; the server's is dropped afterwards."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    server = sa.make_url(POSTGRES)
    name = f"convnas_{uuid.uuid4().hex[:12]}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
    except sa.exc.OperationalError:
        pytest.skip("no PostgreSQL server: set CONVNAS_TEST_POSTGRES to the URL of one")
    yield server.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def mirror(url: str) -> Iterator[Callable[[str], Mirror]]:
    """Opens mirrors of studies in the database, and closes them."""
    with ExitStack() as opened:

        def make(name: str) -> Mirror:
            catalogue = get("mixed").catalogue()
            return opened.enter_context(closing(Mirror(url, name, catalogue)))

        yield make


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url, create=True)
    yield opened
    opened.close()
