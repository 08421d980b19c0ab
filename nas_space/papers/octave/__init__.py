"""Networks of octave convolutions, on pairs of (high, low) frequency maps."""
