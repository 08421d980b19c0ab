"""Secrets in URLs: commands repeat what was typed to them, in errors and records, but not these."""

import re

MASK = "***"
_PASSWORD = re.compile(r"(://[^:/?@]*:).*@", re.DOTALL)
_SETTING = re.compile(r"([?&]([^=& ]+)=)[^& ]*")
_PLAIN = frozenset(
    ("charset", "connect_timeout", "dbname", "host", "mode", "port", "sslmode", "timeout", "user")
)
"""Parameters that say where a database is and how to reach it. What others may hold, who knows."""


def masked(text: str) -> str:
    """A text without the passwords of the URLs in it, as its readers should see it.

    Nothing is asked of a URL's form, for a misspelt one may be spelt out in an error as well: all
    between the user's name and the last @ counts as the password.
    """
    before, scheme, rest = text.partition("://")
    if not scheme:
        return text
    return before + _SETTING.sub(_setting, _PASSWORD.sub(rf"\1{MASK}@", scheme + rest))


def is_secret(parameter: str) -> bool:
    """Whether a URL's parameter of that name has to be masked."""
    return parameter.lower() not in _PLAIN


def _setting(found: re.Match[str]) -> str:
    return found[1] + MASK if is_secret(found[2]) else found[0]
