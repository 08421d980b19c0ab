"""What can exist: convolution types, architectures, search spaces, and what they cost."""
