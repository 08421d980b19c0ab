"""PyTorch, as it runs here."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from nas_space.inference.layout import in_rows
from studies.runtimes import Call
from trainers import devices


class _Torch:
    needs = None

    def version(self) -> str:
        return f"torch {torch.__version__}"

    def usual_threads(self, side: int) -> int:
        devices.spare_threads(side)
        return torch.get_num_threads()

    def prepared(
        self,
        modules: Sequence[nn.Module],
        inputs: Sequence[Tensor],
        threads: int,
        *,
        inside: bool = False,  # noqa: ARG002 - here a layer is what it is alone
        as_trained: bool = False,  # noqa: ARG002
    ) -> list[Call]:
        torch.set_num_threads(threads)
        return [
            partial(torch.inference_mode()(module), in_rows(images))
            for module, images in zip(modules, inputs, strict=True)
        ]


RUNTIME = _Torch()
