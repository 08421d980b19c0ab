"""What goes wrong when latencies are measured."""

from nas_space.errors import ConvnasError


class LatencyError(ConvnasError):
    """Latencies cannot be measured; the message says why in one line."""
