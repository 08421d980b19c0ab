"""What can exist: convolution types, architectures, search spaces, what they cost, and how they are shipped."""
