"""Where a network is trained, and in which precision."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Device:
    """A device and the precision that pays on it.

    Attributes:
        where: the device.
        amp: type of automatic mixed precision; None trains in fp32. On the CPU it does: autocast
            to bf16 took 1.3 to 1.8 times as long for small mixed networks (docs/log.md).
    """

    where: torch.device
    amp: torch.dtype | None

    @property
    def name(self) -> str:
        """What stands in the record: the device's model where torch knows it."""
        if self.where.type == "cuda":
            return torch.cuda.get_device_name(self.where)
        return self.where.type

    @contextlib.contextmanager
    def autocast(self) -> Iterator[None]:
        """Mixed precision for the forward pass, where it is on."""
        with torch.autocast(self.where.type, dtype=self.amp, enabled=self.amp is not None):
            yield


def best() -> Device:
    """A CUDA device if this process sees one, otherwise the CPU."""
    if not torch.cuda.is_available():
        return Device(torch.device("cpu"), None)
    amp = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    return Device(torch.device("cuda"), amp or torch.float16)
