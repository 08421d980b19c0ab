"""What can exist: convolution types, architectures, spaces, costs, and networks to be shipped."""
