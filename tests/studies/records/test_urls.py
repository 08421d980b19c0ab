"""What is said of a storage URL, by us or by a driver, holds no password."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import URL, make_url

from studies.records.urls import shown, without_secrets


@given(
    st.text(st.characters(codec="utf-8"), min_size=1).map(lambda text: f"<{text}>"),
    st.sampled_from(["password", "sslpassword", "options"]),
)
def test_a_password_is_not_shown(secret: str, parameter: str) -> None:
    plain = URL.create("postgresql+psycopg", "me", secret, "host", 5432, "db")
    assert shown(plain) == "postgresql+psycopg://me:***@host:5432/db"
    query = URL.create("postgresql+psycopg", host="host", query={parameter: secret})
    assert shown(query) == f"postgresql+psycopg://host?{parameter}=***"


@given(
    st.text(st.characters(codec="utf-8"), min_size=1),
    st.sampled_from(["{}", "{!r}", "password={} rejected", '"{}"']),
)
def test_a_driver_may_repeat_a_password_in_vain(secret: str, template: str) -> None:
    secret = f"\N{SNOWMAN}{secret}\N{SNOWMAN}"
    for url in (
        URL.create("postgresql+psycopg", password=secret),
        URL.create("postgresql+psycopg", query={"password": ("first", secret)}),
    ):
        said = template.replace("{!r}", "'{}'").format(secret)
        assert "\N{SNOWMAN}" not in without_secrets(said, url)


@pytest.mark.parametrize(
    ("url", "said", "seen"),
    [
        (
            "mysql://me:p%40w@h/d",
            "no such host: p@w@h, or p%40w@h",
            "no such host: ***@h, or ***@h",
        ),
        ("mysql://me:a@h/d", "a role at a host", "*** role at *** host"),
        ("mysql://me:pw@h/d", "spwn is no host", "spwn is no host"),
        ("mysql://me@h/d?sslmode=no", "no such mode", "no such mode"),
        ("sqlite:///x.db", "disk image is malformed", "disk image is malformed"),
    ],
)
def test_the_rest_of_what_a_driver_says_stays(url: str, said: str, seen: str) -> None:
    assert without_secrets(said, make_url(url)) == seen
