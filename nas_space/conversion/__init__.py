"""Other convolutions in any module; `nas_space.convert` is its door."""
