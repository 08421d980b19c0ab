"""Costs of networks: parameters, multiply-adds and activations, in closed form and counted."""
