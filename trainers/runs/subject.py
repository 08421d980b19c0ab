"""The network that a user names: an architecture as JSON, an exported network, or a paper's."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from nas_space import networks
from nas_space.bundle import Bundle, Record
from nas_space.bundle.manifest import read_json
from nas_space.bundle.weights import read_weights
from nas_space.costs.cost import Task, predict
from nas_space.errors import ConvnasError
from nas_space.papers import UnknownNetworkError
from nas_space.spaces import building
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.skeletons import read_architecture
from trainers.data.splits import SearchData
from trainers.machine import free_memory

_WEIGHT_COPIES = 3
"""Weights, their gradients and their momentum, of four bytes each."""


class SubjectError(ConvnasError):
    """A network that cannot be trained on these images; the message says why."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A network to train.

    Attributes:
        name: for people.
        identity: a text that is different for every network.
        params: how many weights it has.
        make: builds it from a seed.
        record: of an exported network; None for others.
    """

    name: str
    identity: str
    params: int
    make: Callable[[int], nn.Module]
    record: Record | None = None


def find(text: str, data: SearchData, trusted: str | None = None) -> Subject:
    """The network that a user's text names, for these images.

    Args:
        text: a path to an architecture's JSON or to an exported network, or a paper's name.
        data: gives the numbers of channels and classes.
        trusted: ``module:function`` that it may call, for a backbone of the user's own.

    Raises:
        ConvnasError: there is no such network, it is damaged, or it does not fit the images.
    """
    path = Path(text)
    if path.is_dir():
        bundle = Bundle.read(path, trusted)
        return _searched(bundle.architecture, data, bundle.record)
    if path.is_file():
        architecture = read_architecture(read_json(path))
        if architecture.code not in {None, trusted}:
            raise SubjectError(
                f"{path} is a network of {architecture.code}, which would have to be called: if "
                f"you trust that code, say --backbone {architecture.code}"
            )
        return _searched(architecture, data, None)
    if path.suffix == ".json" or os.sep in text:
        raise SubjectError(f"there is no file and no exported network at {text}")
    return _named(text, data)


def starting_weights(path: Path, trusted: str | None = None) -> dict[str, Tensor]:
    """The weights of an exported network, or of a safetensors file.

    Raises:
        BundleError: there are no weights, or they are damaged.
    """
    if path.is_dir():
        return Bundle.read(path, trusted).network.network.state_dict()
    return read_weights(path)


def digest(weights: dict[str, Tensor]) -> str:
    """SHA-256 of weights, in hexadecimal digits."""
    return hashlib.sha256(
        save({name: t.detach().cpu().contiguous() for name, t in weights.items()})
    ).hexdigest()


def _searched(architecture: Architecture, data: SearchData, record: Record | None) -> Subject:
    channels, height, width = data.shape
    task = Task(channels, (height, width), len(data.classes))
    architecture.check(channels, len(data.classes))
    params = predict(architecture, task).params
    _check_memory(params)
    return Subject(
        f"architecture {architecture.key}: {architecture}",
        architecture.key,
        params,
        lambda seed: building.build(architecture, channels, len(data.classes), seed=seed),
        record,
    )


def _named(text: str, data: SearchData) -> Subject:
    try:
        found = networks.get(text)
    except UnknownNetworkError as error:
        raise SubjectError(f"{text!r} is no file, and no paper's network: {error}") from None
    params = found.counts().params
    _check_memory(params)
    subject = Subject(f"{found.name} ({found.paper})", found.name, params, _maker(found))
    _check_fits(subject, data)
    return subject


def _maker(found: networks.PaperNetwork) -> Callable[[int], nn.Module]:
    return lambda seed: found.build(seed=seed)


def _check_fits(subject: Subject, data: SearchData) -> None:
    """Check that the channels and classes of a paper's network are those of the data."""
    shape = "×".join(map(str, data.shape))
    try:
        with torch.inference_mode():
            logits = subject.make(0).eval()(torch.zeros(1, *data.shape))
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise SubjectError(
            f"{subject.identity} cannot take the {shape} images of {data.name}: {reason}"
        ) from None
    if logits.shape != (1, len(data.classes)):
        raise SubjectError(
            f"{subject.identity} tells {logits.shape[-1]} classes apart and {data.name} has "
            f"{len(data.classes)}: choose a network for as many"
        )


def _check_memory(params: int) -> None:
    needed, free = 4 * _WEIGHT_COPIES * params, free_memory()
    if free is not None and needed > free:
        raise SubjectError(
            f"a network of {params:,} weights needs {needed / 1e9:.1f} GB to be trained and "
            f"{free / 1e9:.1f} GB are free: choose a smaller one"
        )
