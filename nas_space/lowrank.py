"""The nearest matrices of low rank, as two factors."""

import torch
from torch import Tensor


def factors(matrices: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The two factors of the nearest matrix of a rank, in least squares (Eckart and Young).

    Args:
        matrices: (…, rows, columns).
        rank: at least 1; what exceeds rows or columns is left out.

    Returns:
        (…, rows, r) and (…, r, columns), r = min(rank, rows, columns), of equal norms.
    """
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    roots = values[..., :rank].sqrt()
    return left[..., :rank] * roots.unsqueeze(-2), roots.unsqueeze(-1) * right[..., :rank, :]
