"""Residual networks in stages, as CIFAR's: what they are, and the space of them."""

from nas_space.spaces.residual.architecture import ResidualArchitecture
from nas_space.spaces.residual.space import ResidualSpace
from nas_space.spaces.residual.stage import Block, Stage

__all__ = ["Block", "ResidualArchitecture", "ResidualSpace", "Stage"]
