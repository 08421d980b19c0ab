"""What goes wrong when latencies are measured."""


class LatencyError(ValueError):
    """Latencies cannot be measured; the message says why in one line."""
