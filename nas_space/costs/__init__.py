"""What networks cost: parameters, multiply-adds and activations, in closed form and counted."""
