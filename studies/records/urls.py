"""A storage URL for people: never with its password, wherever that is."""

import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

from sqlalchemy.engine import URL

from nas_space.masking import MASK, is_secret, masked


def shown(url: URL) -> str:
    """The URL without its password."""
    return masked(url.render_as_string(hide_password=False))


def without_secrets(text: str, url: URL) -> str:
    """A message of a database driver, without the password that it may repeat."""
    for secret in sorted(_secrets(url), key=len, reverse=True):
        for spelling in (secret, quote(secret, safe=""), quote_plus(secret)):
            # A password like "a" must not hide every a.
            text = re.sub(rf"(?<!\w){re.escape(spelling)}(?!\w)", MASK, text)
    return text


def _secrets(url: URL) -> Iterator[str]:
    if url.password:
        yield str(url.password)
    for name, value in url.query.items():
        if is_secret(name):
            values = (value,) if isinstance(value, str) else value
            yield from (part for part in values if part)
