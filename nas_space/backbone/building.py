"""Makes the module of a backbone with its convolutions chosen."""

import torch
from torch import nn

from nas_space.architecture import InvalidArchitectureError
from nas_space.backbone.architecture import BackboneArchitecture
from nas_space.backbone.as_is import AsIs
from nas_space.backbone.loading import load
from nas_space.backbone.surveying import replaceable
from nas_space.convert.conversion import put


def build(
    architecture: BackboneArchitecture,
    channels: int,  # noqa: ARG001 - the backbone is for one task, which `check` has compared
    classes: int,  # noqa: ARG001
    seed: int,
) -> nn.Module:
    """The backbone, its chosen convolutions in place.

    Its own layers are drawn by the code that makes it, from the seed, or bring their weights if it
    is pretrained. New layers are drawn as in `nas_space.network.build`; those of a pretrained
    backbone take over what `Conv.carry` can.

    Raises:
        InvalidArchitectureError: the backbone is not what it was when it was chosen for.
    """
    backbone = architecture.backbone
    task = backbone.task
    model = load(backbone.name, task.classes, pretrained=backbone.pretrained, seed=seed)
    found = {place.name: place for place in replaceable(model, task)}
    generator = torch.Generator().manual_seed(seed)
    for place, conv in zip(backbone.places, architecture.convs, strict=True):
        if found.get(place.name) != place:
            now = found.get(place.name, "no layer that can be replaced")
            raise InvalidArchitectureError(
                f"{backbone.name} has changed: {place.name} was {place}, and is {now}"
            )
        if not isinstance(conv, AsIs):
            put(model, place, conv, generator, carry=backbone.pretrained)
    return model
