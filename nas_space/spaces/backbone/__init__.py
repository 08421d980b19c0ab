"""Networks that a user has, with their convolutions chosen."""
