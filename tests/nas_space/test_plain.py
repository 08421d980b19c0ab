"""Networks are of torch's own operations, for whoever looks on: counters, tracers, transforms."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from nas_space.convert import convert
from nas_space.convs import TYPES, parse
from nas_space.spaces.building import build
from nas_space.spaces.skeletons import read_architecture
from trainers.fast import for_training


def rows(*shape: int) -> Tensor:
    return torch.randn(*shape).contiguous(memory_format=torch.channels_last)


def resnet() -> nn.Module:
    stages = [{"width": w, "blocks": [["regular", "regular"]]} for w in (8, 16)]
    data: Mapping[str, Any] = {
        "format": 1,
        "skeleton": "residual",
        "stem": "regular",
        "stages": stages,
    }
    return build(read_architecture(data), 3, 10)


@pytest.fixture(params=[False, True], ids=["alone", "with a twin"])
def network(request: pytest.FixtureRequest) -> nn.Module:
    """In training; it may have a twin that is trained in its place."""
    module = resnet().to(memory_format=torch.channels_last).train()
    assert isinstance(module, nn.Module)
    if request.param:
        for_training(module)(rows(4, 3, 8, 8))
    return module


def operations(graph: torch.fx.Graph) -> str:
    return " ".join(str(node.target) for node in graph.nodes)


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_is_made_of_torchs_own_layers(kind: str) -> None:
    for conv in TYPES.get(kind).settings(32, 32):
        for part in conv.build(32, 32).modules():
            if not list(part.children()):
                assert type(part).__module__.startswith("torch.nn.")


@pytest.mark.parametrize(
    "label", ["igc(L=8,M=4)", "igcv2(K1=2,K2=4,K3=2,K4=2)", "deep_roots(groups=8)", "xception"]
)
def test_the_names_of_weights_are_those_of_torchs_own_modules(label: str) -> None:
    names = set(parse(label).build(32, 32).state_dict())
    assert names == {f"{number}.weight" for number in range(0, 2 * len(names), 2)} or names == {
        "0.weight",
        "1.weight",
    }


def test_the_names_of_the_state_are_those_of_batch_norm() -> None:
    network = resnet()
    norms = [name for name, part in network.named_modules() if isinstance(part, nn.BatchNorm2d)]
    blocks = [f"blocks.{b}.{bn}" for b in (0, 1) for bn in ("bn1", "bn2")]
    assert sorted(norms) == sorted(["stem.1", *blocks, "blocks.1.shortcut.1"])
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    rest = ["stem.0.weight", "classifier.weight", "classifier.bias", "blocks.1.shortcut.0.weight"]
    rest += [f"blocks.{b}.{conv}.weight" for b in (0, 1) for conv in ("conv1", "conv2")]
    assert sorted(network.state_dict()) == sorted(
        [*rest, *(f"{name}.{part}" for name in norms for part in parts)]
    )


def test_who_counts_operations_of_a_chain_sees_the_definition() -> None:
    chain = parse("igc(L=8,M=4)").build(32, 32)
    with FlopCounterMode(display=False) as counter:
        chain(torch.randn(1, 32, 8, 8))
    assert counter.get_total_flops() == 2 * parse("igc(L=8,M=4)").macs(32, 32, (8, 8))


def test_a_wide_chain_runs_part_by_part() -> None:
    chain = parse("igc(L=64,M=4)").build(256, 256)
    seen: list[torch.Size] = []
    chain[3].register_forward_hook(lambda _m, _i, y: seen.append(y.shape))  # type: ignore[index]
    chain(torch.randn(2, 256, 4, 4))
    assert seen == [torch.Size([2, 256, 4, 4])]


def test_who_looks_on_sees_torchs_own_operations(network: nn.Module) -> None:
    seen = []

    class Looks(TorchFunctionMode):
        def __torch_function__(
            self,
            func: Callable[..., object],
            types: Sequence[type],
            args: Sequence[object] = (),
            kwargs: Mapping[str, object] | None = None,
        ) -> object:
            seen.append(func)
            return func(*args, **(kwargs or {}))

    with Looks():
        network(rows(4, 3, 8, 8))
    assert seen.count(F.conv2d) == 1 + 4 + 1
    assert seen.count(F.batch_norm) == 1 + 4 + 1


def test_exporting_a_network_in_training_records_torchs_operations(network: nn.Module) -> None:
    exported = torch.export.export(network, (rows(4, 3, 8, 8),))
    assert operations(exported.graph).count("batch_norm") == 6


def test_tracing_a_network_in_training_records_torchs_operations(network: nn.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, that its tracer is old
        traced = torch.jit.trace(network, rows(4, 3, 8, 8), check_trace=False)  # type: ignore[no-untyped-call]
    assert str(traced.inlined_graph).count("aten::batch_norm") == 6


def test_compiling_a_network_in_training_finds_torchs_operations(network: nn.Module) -> None:
    graphs = []

    def backend(graph: torch.fx.GraphModule, _inputs: list[Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph.graph)
        return graph

    torch.compile(network, backend=backend, fullgraph=True)(rows(4, 3, 8, 8))
    assert sum(operations(graph).count("batch_norm") for graph in graphs) == 6
    torch.compiler.reset()


def test_dispatch_modes_see_torchs_operations(network: nn.Module) -> None:
    x = rows(4, 3, 8, 8)
    seen = torch.fx.experimental.proxy_tensor.make_fx(network, tracing_mode="real")(x)
    assert operations(seen.graph).count("native_batch_norm") == 6
    with FlopCounterMode(display=False) as counter:
        network(x)
    assert counter.get_total_flops() > 0


def test_function_transforms_go_through_a_network_in_training(network: nn.Module) -> None:
    parameters, x = dict(network.named_parameters()), rows(4, 3, 8, 8)

    def loss(parameters: Mapping[str, Tensor]) -> Tensor:
        # Statistics that a transform moves must be its own: torch's normalisation counts in place.
        buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
        out: Tensor = torch.func.functional_call(network, {**parameters, **buffers}, (x,))
        return out.square().sum()

    transformed = torch.func.grad(loss)(parameters)
    network.zero_grad()
    loss(parameters).backward()  # type: ignore[no-untyped-call]
    for name, parameter in parameters.items():
        torch.testing.assert_close(transformed[name], parameter.grad, rtol=1e-3, atol=1e-3)


def test_the_graph_of_a_network_in_training_is_of_torchs_own_operations(
    network: nn.Module,
) -> None:
    seen, queue = set(), [network(rows(4, 3, 8, 8)).grad_fn]
    while queue:
        node = queue.pop()
        if node is not None and node not in seen:
            seen.add(node)
            queue += [following for following, _ in node.next_functions]
    names = [type(node).__name__ for node in seen]
    assert names.count("ConvolutionBackward0") == names.count("NativeBatchNormBackward0") == 6
    assert not any("Function" in name for name in names)


def test_its_gradients_have_derivatives_of_their_own() -> None:
    network, x = resnet().double(), torch.randn(2, 3, 6, 6, dtype=torch.double)
    (dx,) = torch.autograd.grad(network(x.requires_grad_()).square().sum(), x, create_graph=True)
    dx.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None


def test_a_row_of_layers_can_be_converted() -> None:
    convs = (nn.Conv2d(c_in, 32, 3, 1, 1, bias=False) for c_in in (3, 32))
    converted = convert(nn.Sequential(*convs), "xception", shape=(3, 8, 8))
    assert [str(layer.conv) for layer in converted.layers] == ["None", "xception"]
    assert converted.model(torch.randn(2, 3, 8, 8)).shape == (2, 32, 8, 8)
