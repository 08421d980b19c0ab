"""Why a training failed, as the rows of failed trainings say it."""

_MOST_CHARACTERS = 500


def reason_of(error: Exception) -> str:
    """An error in one line: its kind, a colon, and what it says."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:_MOST_CHARACTERS]
