"""Other convolutions in any module; use it through `nas_space.convert`."""
