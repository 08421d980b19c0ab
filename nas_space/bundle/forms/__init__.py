"""The forms of a network for those who run no Python of ours, one file each.

A form's file imports nothing of convnas at its top: a process without convnas runs it to open what
was written.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from nas_space.bundle.forms import onnx_model, program
from nas_space.bundle.manifest import BundleError
from nas_space.bundle.preprocessing import Preprocessing
from nas_space.errors import error_line
from nas_space.registry import Entry, Registry, given
from nas_space.waiting import waiting


class ExportForm(Protocol):
    """A module that writes a form and opens it again."""

    __file__: str | None
    FILE: str
    """Name of the file in the exported folder."""

    def write(self, exported: ExportedProgram, task: str, opset: int) -> bytes:
        """The file's content; `task` is JSON text that it has to hold, `opset` is for ONNX."""

    def opened(self, path: Path) -> Callable[[Tensor], Tensor]:
        """What the file computes: images (N, C, H, W) to logits (N, classes)."""


def _ours() -> Iterator[Entry[ExportForm]]:
    yield given("program", program, program.__name__)
    yield given("onnx", onnx_model, onnx_model.__name__)


FORMS: Registry[ExportForm] = Registry("export form", BundleError, found=_ours)
"""The forms by name."""


def write_forms(
    folder: Path, network: nn.Module, preprocessing: Preprocessing, task: str, opset: int
) -> None:
    """Write every form into a folder that is not there yet.

    They take images (N, C, H, W) of any N, 0 to 1, and give logits (N, classes). All hold the task
    (input size, normalisation, names of the classes) as JSON text.

    Args:
        folder: where.
        network: such as `nas_space.inference.for_inference` makes, from images to logits.
        preprocessing: of the images.
        task: that text.
        opset: version of ONNX's operators.

    Raises:
        OSError: a file cannot be written.
        BundleError: a form fails.
    """
    exported = exported_program(network, preprocessing)
    missing = {
        name: form for name, form in FORMS.all().items() if not (folder / form.FILE).exists()
    }
    for name, form in missing.items():
        with waiting(f"writing {form.FILE}"):
            (folder / form.FILE).write_bytes(_content(name, form, exported, task, opset))


def exported_program(network: nn.Module, preprocessing: Preprocessing) -> ExportedProgram:
    """A network as what a form is written of: batches of any size, no path of this machine."""
    images = torch.zeros(2, *preprocessing.shape)
    shapes = {"images": {0: Dim("batch", min=1)}}
    with waiting("tracing the network"):
        exported = torch.export.export(network, (images,), dynamic_shapes=shapes)
    _forget_this_machine(exported)
    return exported


def _content(
    name: str, form: ExportForm, exported: ExportedProgram, task: str, opset: int
) -> bytes:
    """What a form writes.

    Raises:
        BundleError: a plugin's form fails, or gives no bytes.
    """
    try:
        content = form.write(exported, task, opset)
    except Exception as error:
        if FORMS.is_ours(name):  # a mistake of ours needs its traceback
            raise
        raise BundleError(
            f"the export form {name} cannot write {form.FILE} ({error_line(error)})"
        ) from error
    if not isinstance(content, bytes | bytearray):
        raise BundleError(
            f"the export form {name} gave a {type(content).__name__} for {form.FILE}, not bytes"
        )
    return content


def _forget_this_machine(exported: ExportedProgram) -> None:
    """Drop the lines of code that torch notes with every operation: their paths are ours."""
    for node in exported.graph.nodes:
        node.meta.pop("stack_trace", None)
