"""How long a network takes on this machine, in the runtimes that will run it."""

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from nas_space.bundle import Bundle
from nas_space.bundle.forms import onnx_model
from nas_space.inference import for_inference
from nas_space.spaces.building import build
from studies import runtimes
from studies.objective import option
from studies.records.tables import Evaluation, Study
from studies.runtimes import DEFAULT_RUNTIME
from studies.runtimes.timing import Timing
from trainers.latency import Latency, in_turns

_IMAGES_PER_BATCH = (1, 64)
"""Batch sizes of the latencies on the card."""


def timing_of(study: Study, arguments: argparse.Namespace) -> Timing:
    """As the options of an export say, or as the search did."""
    said = option(study, "--latency-threads") or ""
    threads = arguments.latency_threads or (int(said) if said.isdecimal() else None)
    return Timing(arguments.runtime or option(study, "--runtime") or DEFAULT_RUNTIME, threads)


def seconds(
    member: Evaluation, study: Study, timing: Timing, *, as_trained: bool
) -> tuple[float, str]:
    """How long a network of a front takes for one image, and in what.

    Args:
        member: of the front.
        study: that it is of.
        timing: in which runtime, with how many threads.
        as_trained: whether its convolutions keep their groups.

    Raises:
        UnknownRuntimeError: no such runtime is known.
    """
    architecture, shape = member.parsed_architecture, study.dataset["shape"]
    network = for_inference(build(architecture, shape[0], len(study.dataset["classes"])))
    runtime = runtimes.find(timing.runtime)
    threads = timing.threads or runtime.usual_threads(min(shape[1:]))
    images, before = torch.rand(1, *shape), torch.get_num_threads()
    try:
        calls = runtime.prepared([network], [images], threads, as_trained=as_trained)
        (found,) = in_turns(calls)
    finally:
        torch.set_num_threads(before)
    return found.median, runtime.version()


def of_forms(bundle: Bundle, folder: Path) -> Iterator[tuple[str, Latency]]:
    """How long a network and its ONNX form take; where, and the time.

    One after the other: right after torch, ONNX Runtime would find cold caches.
    """
    fast, model = for_inference(bundle.network), onnx_model.opened(folder / onnx_model.FILE)
    for batch in _IMAGES_PER_BATCH:
        images = torch.rand(batch, *bundle.preprocessing.shape)
        for where, run in (("in torch", fast), ("in ONNX Runtime", model)):
            (found,) = in_turns([torch.inference_mode()(partial(run, images))], batch)
            yield where, found


def hardware() -> str:
    """What `of_forms` measured on."""
    threads, other = torch.get_num_threads(), runtimes.find("onnxruntime").version()
    torchs = runtimes.hardware(runtimes.find(DEFAULT_RUNTIME), threads)
    return f"{torchs}; {other}{', which takes one thread' * (threads > 1)}"
