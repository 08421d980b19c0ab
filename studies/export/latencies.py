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
    """As the options of an export say, or as the search did.

    Raises:
        UnknownRuntimeError: no such runtime is known.
    """
    runtime = arguments.runtime or option(study, "--runtime") or DEFAULT_RUNTIME
    threads = arguments.latency_threads or int(option(study, "--latency-threads") or 0) or None
    runtimes.find(runtime)
    return Timing(runtime, threads)


def seconds(member: Evaluation, study: Study, timing: Timing) -> tuple[float, str]:
    """How long a network of a front takes for one image, and in what."""
    architecture, shape = member.parsed_architecture, study.dataset["shape"]
    network = for_inference(build(architecture, shape[0], len(study.dataset["classes"])))
    runtime = runtimes.find(timing.runtime)
    threads = timing.threads or runtime.usual_threads(min(shape[1:]))
    (found,) = in_turns(runtime.prepared([network], [torch.rand(1, *shape)], threads))
    return found.median, runtime.version()


def of_forms(bundle: Bundle, folder: Path) -> Iterator[tuple[str, Latency]]:
    """How long a network and its ONNX form take, in turns; where, and the time."""
    fast, model = for_inference(bundle.network), onnx_model.opened(folder / onnx_model.FILE)
    for batch in _IMAGES_PER_BATCH:
        images = torch.rand(batch, *bundle.preprocessing.shape)
        calls = [torch.inference_mode()(partial(run, images)) for run in (fast, model)]
        yield from zip(("in torch", "in ONNX Runtime"), in_turns(calls, batch), strict=True)


def hardware() -> str:
    """What `of_forms` measured on."""
    threads, other = torch.get_num_threads(), runtimes.find("onnxruntime").version()
    torchs = runtimes.hardware(runtimes.find(DEFAULT_RUNTIME), threads)
    return f"{torchs}; {other}{', which takes one thread' * (threads > 1)}"
