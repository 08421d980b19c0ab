"""Networks of a user's own function, as a space: every argument of it is a choice.

    def plain(channels, classes, *, width, depth): ...
        return module  # images (N, channels, H, W) to logits (N, classes)

    CHOICES.add("plain", Choices(plain, {"width": (8, 16, 32), "depth": (1, 2, 3)}))

Such a space needs no class of its own: MACs are counted, and an export writes down what `torch.fx`
sees the module do.
"""

from nas_space.spaces.choices.choices import CHOICES, Choices

__all__ = ["CHOICES", "Choices"]
