"""Passwords of URLs, wherever they stand, are not to be seen; the rest of a text stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_space.masking import masked


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("sqlite:///convnas.db", "sqlite:///convnas.db"),
        ("sqlite:////a:b@c/x.db", "sqlite:////a:b@c/x.db"),
        ("postgresql+psycopg://me@host/db", "postgresql+psycopg://me@host/db"),
        ("postgresql+psycopg://me:pw@host:5432/db", "postgresql+psycopg://me:***@host:5432/db"),
        ("mysql://me:p/w@host/db", "mysql://me:***@host/db"),
        ("mysql://me:p@w@host/db", "mysql://me:***@host/db"),
        ("mysql://me:p w@host/db", "mysql://me:***@host/db"),
        ("mysql://:pw@host/db", "mysql://:***@host/db"),
        ("mysql://host/db?password=pw&sslmode=no", "mysql://host/db?password=***&sslmode=no"),
        ("mysql://host/db?sslmode=no&odbc=PWD%3Dpw", "mysql://host/db?sslmode=no&odbc=***"),
        ("mysql://me:pw@h/d?Password=pw", "mysql://me:***@h/d?Password=***"),
        ("--storage=mysql://me:pw@h/d", "--storage=mysql://me:***@h/d"),
        ("ratio 1:2 @ noon?x=1", "ratio 1:2 @ noon?x=1"),
        ("", ""),
    ],
)
def test_what_is_seen_of_a_text(text: str, seen: str) -> None:
    assert masked(text) == seen


secrets = st.text(st.characters(codec="utf-8", exclude_characters="& "), min_size=1)


@given(secrets, st.sampled_from(["password", "passwd", "x", "conninfo"]))
def test_a_secret_is_never_seen(secret: str, parameter: str) -> None:
    # Set apart from all other text, so that it cannot be there by chance.
    secret = f"\N{SNOWMAN}{secret}\N{SNOWMAN}"
    for url in (f"mysql://me:{secret}@host/db", f"mysql://host/db?{parameter}={secret}"):
        said = masked(f"unrecognized arguments: {url} and more")
        assert "\N{SNOWMAN}" not in said
        assert masked(said) == said
