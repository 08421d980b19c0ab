"""What this CPU multiplies fast."""

from functools import cache

import torch


@cache
def lanes() -> int:
    """Numbers in a vector, in fp32."""
    return 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8


@cache
def multiplies_matrices() -> bool:
    """Whether it multiplies whole matrices of bf16 (Intel's AMX), which torch makes use of."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16"))
