"""What may be said of a storage URL: never its password, wherever that stands."""

import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

from sqlalchemy.engine import URL

from nas_space.masking import MASK, is_secret, masked


def shown(url: URL) -> str:
    """The URL as people may see it."""
    return masked(url.render_as_string(hide_password=False))


def without_secrets(text: str, url: URL) -> str:
    """What a driver says, which may repeat the password that it was given."""
    for secret in sorted(_secrets(url), key=len, reverse=True):
        for spelling in (secret, quote(secret, safe=""), quote_plus(secret)):
            # A password like "a" is no reason to star every word that has one.
            text = re.sub(rf"(?<!\w){re.escape(spelling)}(?!\w)", MASK, text)
    return text


def _secrets(url: URL) -> Iterator[str]:
    if url.password:
        yield str(url.password)
    for name, value in url.query.items():
        if is_secret(name):
            values = (value,) if isinstance(value, str) else value
            yield from (part for part in values if part)
