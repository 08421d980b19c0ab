"""Residual networks in stages, as CIFAR's: what they are, and the space of them."""

from nas_space.spaces.residual.architecture import Block, ResidualArchitecture, Stage
from nas_space.spaces.residual.space import ResidualSpace

__all__ = ["Block", "ResidualArchitecture", "ResidualSpace", "Stage"]
