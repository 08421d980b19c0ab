"""A look at a user's function before a search: whether its networks can be trained and shipped."""

import hashlib
from dataclasses import replace

from nas_space.conversion.survey import ConversionError
from nas_space.costs.cost import Task
from nas_space.spaces.architecture import InvalidArchitectureError
from nas_space.spaces.backbone.digest import digest
from nas_space.spaces.backbone.following import followed
from nas_space.spaces.backbone.shipping import check_form
from nas_space.spaces.backbone.surveying import check_logits
from nas_space.spaces.building import build
from nas_space.spaces.choices.space import ChoiceSpace
from nas_space.spaces.space import UnknownSpaceError


def looked_at(space: ChoiceSpace, task: Task) -> ChoiceSpace:
    """The same space, with its digest.

    The smallest network, the largest, and one in the middle are looked at.

    Raises:
        UnknownSpaceError: one of them cannot be made, trained for such images, or exported.
    """
    shape = (task.channels, *task.size)
    found = []
    try:
        for architecture in (space.smallest(task), space.reference(), space.largest(task)):
            network = build(architecture, task.channels, task.classes)
            check_logits(str(architecture), network, task)
            graph = followed(network, frozenset(), str(architecture), shape)
            found.append(digest(network, graph))
            check_form(architecture, str(architecture), task)
    except (ConversionError, InvalidArchitectureError, UnknownSpaceError) as error:
        raise UnknownSpaceError(f"space {space.name}: {error}") from None
    return replace(space, digest=hashlib.sha256("".join(found).encode()).hexdigest()[:12])
