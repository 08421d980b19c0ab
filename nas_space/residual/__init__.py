"""Residual networks in stages, as CIFAR's: what they are, and the space of them."""

from nas_space.residual.architecture import Block, ResidualArchitecture, Stage
from nas_space.residual.space import ResidualSpace

__all__ = ["Block", "ResidualArchitecture", "ResidualSpace", "Stage"]
