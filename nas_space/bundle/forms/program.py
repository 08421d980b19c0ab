"""A network as a `torch.export` program; it holds the task as the extra file ``task.json``."""

import io
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

FILE = "program.pt2"


def write(exported: ExportedProgram, task: str, opset: int) -> bytes:  # noqa: ARG001
    """See `nas_space.bundle.forms.ExportForm`."""
    written = io.BytesIO()
    torch.export.save(exported, written, extra_files={"task.json": task})
    return written.getvalue()


def opened(path: Path) -> Callable[[Tensor], Tensor]:
    """See `nas_space.bundle.forms.ExportForm`."""
    return torch.export.load(path).module()
