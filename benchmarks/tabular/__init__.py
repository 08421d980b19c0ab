"""A few hundred networks, really trained, and searches replayed on them in seconds."""
