"""Makes the module of a backbone with its convolutions chosen."""

import torch
from torch import nn

from nas_space.conversion.converting import put
from nas_space.spaces.architecture import InvalidArchitectureError
from nas_space.spaces.backbone.architecture import BackboneArchitecture
from nas_space.spaces.backbone.as_is import AsIs
from nas_space.spaces.backbone.digest import digest
from nas_space.spaces.backbone.loading import load
from nas_space.spaces.backbone.reshaping import reshaping
from nas_space.spaces.backbone.surveying import replaceable


def build(
    architecture: BackboneArchitecture,
    channels: int,  # noqa: ARG001 - the backbone is for one task, which `check` has compared
    classes: int,  # noqa: ARG001
    seed: int,
) -> nn.Module:
    """The backbone, its chosen convolutions in place.

    Its own layers are drawn by the code that makes it, from the seed, or bring their weights if it
    is pretrained. New layers are drawn as in `nas_space.spaces.building.build`. Those of a
    pretrained backbone begin with what `Conv.init_from_dense` makes of the old weights.

    Raises:
        InvalidArchitectureError: the backbone is not what it was when it was chosen for.
    """
    backbone = architecture.backbone
    task = backbone.task
    model = load(backbone.name, task.classes, pretrained=backbone.pretrained, seed=seed)
    sites, graph = replaceable(model, task, backbone.name)
    found = {site.name: site for site in sites}
    generator = torch.Generator().manual_seed(seed)
    for site in backbone.sites:
        if found.get(site.name) != site:
            now = found.get(site.name, "no layer that can be replaced")
            raise InvalidArchitectureError(
                f"{backbone.name} has changed: {site.name} was {site}, and is {now}"
            )
    if backbone.digest is not None and digest(model, graph) != backbone.digest:
        raise InvalidArchitectureError(
            f"{backbone.name} has changed: it computes something else than the network that was "
            "searched; bring its code back, with the same versions of torch and torchvision"
        )
    for site, conv in zip(backbone.sites, architecture.convs, strict=True):
        if not isinstance(conv, AsIs):
            put(model, site, conv, generator, init_from_dense=backbone.pretrained)
    views = any(node.op == "call_method" and node.target == "view" for node in graph.nodes)
    return reshaping(model) if views else model
