"""`python -m nas_space.networks`: the papers' networks, and what they cost.

In Python: ``nas_space.networks.get("igc-l24m2-d20").build()``.
"""

from nas_space.papers import (
    Counts,
    Figure,
    PaperNetwork,
    UnknownNetworkError,
    families,
    get,
    networks,
)
from nas_space.papers.command import main

__all__ = ["Counts", "Figure", "PaperNetwork", "UnknownNetworkError", "families", "get", "networks"]


if __name__ == "__main__":
    raise SystemExit(main())
