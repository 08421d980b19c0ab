"""A look at a network that a user has: what of it can be chosen, and what it costs."""

import copy

import torch
from torch import Tensor, fx, nn

from nas_space.conversion.replacing import options
from nas_space.conversion.site import ConvSite
from nas_space.conversion.survey import ConversionError, blank, survey
from nas_space.costs.cost import Task
from nas_space.costs.counting import count
from nas_space.errors import reason
from nas_space.programs import program
from nas_space.spaces.architecture import InvalidArchitectureError
from nas_space.spaces.backbone.architecture import Backbone
from nas_space.spaces.backbone.digest import digest
from nas_space.spaces.backbone.following import followed
from nas_space.spaces.backbone.loading import UnknownBackboneError, load
from nas_space.spaces.backbone.shipping import check_shippable
from nas_space.spaces.space import UnknownSpaceError


def look_up(name: str, task: Task, *, pretrained: bool = False) -> Backbone:
    """The backbone of that name, for such images.

    Raises:
        UnknownSpaceError: there is none, it cannot be for them, or it has nothing to choose.
    """
    try:
        model = load(name, task.classes, pretrained=pretrained)
        sites, graph = replaceable(model, task, name)
    except UnknownBackboneError as error:
        raise UnknownSpaceError(str(error)) from None
    except (ConversionError, InvalidArchitectureError) as error:
        raise UnknownSpaceError(f"backbone {error}") from None
    if not sites:
        raise UnknownSpaceError(
            f"backbone {name} has no convolution that can be replaced: "
            f"`{program('nas_space.convert')} {name} octave` says why"
        )
    check_logits(f"backbone {name}", model, task)
    _check_names(name, model)
    shape = (task.channels, *task.size)
    cost = count(model, shape)
    try:
        computes = digest(model, graph)
        found = Backbone(name, pretrained, task, sites, cost.params, cost.macs, computes)
        check_shippable(found)
    except InvalidArchitectureError as error:
        raise UnknownSpaceError(f"backbone {error}") from None
    return found


def replaceable(model: nn.Module, task: Task, name: str) -> tuple[tuple[ConvSite, ...], fx.Graph]:
    """The convolutions of a module that offer a choice, in the order in which it calls them.

    One that the module calls several times is none of them, nor one whose weight it reads itself.

    Returns:
        Them, and what the module does.

    Raises:
        ConversionError: it fails for such images, or has no convolutions.
        InvalidArchitectureError: see `following.followed`.
    """
    shape = (task.channels, *task.size)
    found = survey(model, blank(model, shape))
    graph = followed(model, frozenset(), name, shape)
    read = {node.target for node in graph.nodes if node.op == "get_attr"}
    free = (site for site in found if len(site.sizes) == 1 and f"{site.name}.weight" not in read)
    return tuple(site for site in free if options(site)), graph


def _check_names(name: str, model: nn.Module) -> None:
    """Weights are kept by name, each once."""
    seen: dict[int, str] = {}
    for key, tensor in model.state_dict().items():
        other = seen.setdefault(tensor.data_ptr(), key)
        if other != key and tensor.numel():
            raise UnknownSpaceError(
                f"backbone {name} has the same weights as {other} and as {key}: give each its own"
            )


def check_logits(name: str, model: nn.Module, task: Task) -> None:
    """A network is trained by its logits: see whether it gives them, in training, too."""
    double = copy.deepcopy(model).train()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=()):
            logits = double(blank(double, (task.channels, *task.size), 2))
    except Exception as error:  # noqa: BLE001 - the module is the user's
        raise UnknownSpaceError(f"{name} cannot be trained: {reason(error)}") from None
    if not isinstance(logits, Tensor) or logits.shape != (2, task.classes):
        shape = "×".join(map(str, logits.shape)) if isinstance(logits, Tensor) else ""
        what = f"a tensor of {shape}" if shape else f"a {type(logits).__name__}"
        raise UnknownSpaceError(
            f"{name} gives {what} for two images in training, not logits of 2×{task.classes}"
        )
