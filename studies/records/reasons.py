"""Why a training failed, for its row."""

_MOST_CHARACTERS = 500


def reason_of(error: Exception) -> str:
    """An error in one line: its kind, a colon, and its message."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:_MOST_CHARACTERS]
