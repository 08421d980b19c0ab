"""`python -m searchers.latency.exporting REQUEST FOLDER`: networks as ONNX files.

It runs as a separate process, like `searchers.latency.measuring`.
"""

import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from nas_space.costs.cost import Task
from nas_space.opsets import OPSET
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.skeletons import read_architecture
from nas_space.waiting import Say
from searchers.latency.processes import run_ours


def export(
    chosen: Sequence[Architecture], task: Task, batch: int, folder: Path, say: Say
) -> Iterator[Path]:
    """Write each network, with fresh weights, for batches of this size; the files in order.

    Raises:
        LatencyError: it failed.
    """
    request = folder / "request.json"
    request.write_text(
        json.dumps(
            {
                "networks": [network.text for network in chosen],
                "shape": [batch, task.channels, *task.size],
                "classes": task.classes,
            }
        )
    )
    run_ours("searchers.latency.exporting", [request, folder], "writing networks", say)
    yield from (folder / f"{network.key}.onnx" for network in chosen)


def main(arguments: Sequence[str]) -> int:
    """Write the networks of a request."""
    import torch  # noqa: PLC0415 - the driver imports this module

    from nas_space.bundle.forms import onnx_model  # noqa: PLC0415
    from nas_space.inference import for_inference  # noqa: PLC0415
    from nas_space.spaces.building import build  # noqa: PLC0415

    request, folder = map(Path, arguments)
    asked = json.loads(request.read_text())
    networks = [read_architecture(text) for text in asked["networks"]]
    images = torch.zeros(*asked["shape"])
    for at, network in enumerate(networks, 1):
        module = for_inference(build(network, asked["shape"][1], asked["classes"]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = onnx_model.converted(module, images, opset=OPSET)
        file = folder / f"{network.key}.onnx"
        file.write_bytes(program.model_proto.SerializeToString())
        print(at, len(networks), flush=True)  # noqa: T201 - the parent reads it
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
