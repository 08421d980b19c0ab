"""The device and the precision of a training."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch

_BF16_SIDE_PIXELS = 16
_TINY_SIDE_PIXELS = 16


@dataclass(frozen=True, slots=True)
class Device:
    """A device and the fastest precision on it.

    Attributes:
        where: the device.
        amp: type of automatic mixed precision; None trains in fp32.
    """

    where: torch.device
    amp: torch.dtype | None

    @property
    def name(self) -> str:
        """The name for the record: the device's model, if torch knows it."""
        if self.where.type == "cuda":
            return torch.cuda.get_device_name(self.where)
        return self.where.type if self.amp is None else f"{self.where.type} in bf16"

    @contextlib.contextmanager
    def autocast(self) -> Iterator[None]:
        """Mixed precision for the forward pass, if it is on."""
        with torch.autocast(self.where.type, dtype=self.amp, enabled=self.amp is not None):
            yield


def best(side: int) -> Device:
    """A CUDA device if this process sees one, otherwise the CPU.

    Args:
        side: pixels of an image's shorter side; on tiny maps a CPU gains nothing from bf16.
    """
    if not torch.cuda.is_available():
        pays = side >= _BF16_SIDE_PIXELS and multiplies_bf16()
        return Device(torch.device("cpu"), torch.bfloat16 if pays else None)
    amp = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    return Device(torch.device("cuda"), amp or torch.float16)


def spare_threads(side: int) -> None:
    """Let torch use one thread if maps are so tiny that a second one mostly waits.

    Six epochs of a small network on the 8×8 digits took 0.8 to 2 s on one thread and 1 to 16 s on
    two, depending on other load; a larger network took 2.2 and 1.9 s (docs/log.md).

    Args:
        side: pixels of an image's shorter side.
    """
    if side < _TINY_SIDE_PIXELS:
        torch.set_num_threads(1)


def multiplies_bf16() -> bool:
    """Whether this CPU has instructions that multiply bf16.

    With them a step takes 0.5 to 0.9 of its time in fp32 at 16×16 and more (docs/log.md). The CPU's
    flags decide, not a measurement: a study's numbers must not depend on other load.
    """
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
