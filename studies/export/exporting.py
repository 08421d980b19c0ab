"""What `python -m studies.export` does: choose a network, train it, measure it, write it."""

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nas_space.bundle import Int8, Measured, Record, int8, prepare
from nas_space.bundle.forms import FORMS
from nas_space.bundle.verify import BATCHES, MAX_DIFFERENCE
from nas_space.cli import console, counted
from nas_space.devices import find
from nas_space.waiting import waiting
from studies import images, objective
from studies.analysis.device import profile_of
from studies.cli import CommandError, open_store
from studies.export import latencies
from studies.export.card import Card, between, interval
from studies.export.choose import Rule, choose, choose_among
from studies.export.device import fit_of
from studies.export.device import told as told_device
from studies.export.int8 import ALLOWED, refuse_or_warn
from studies.export.onnx_files import OnnxFiles, written
from studies.export.trained_network import (
    TrainedNetwork,
    bundle_of,
    checkpoint_of,
    from_search,
    look,
    retrained,
)
from studies.model.accuracy import better_than_measured, expected
from studies.pareto.front import front
from studies.pareto.table import table
from studies.records.fidelity import complete
from studies.records.store import Store
from studies.records.tables import Evaluation, Retraining, Study
from studies.retraining import summary
from studies.retraining.retrained_front import means_of, retrained_front
from trainers import devices
from trainers.data.balance import Answers
from trainers.data.splits import Dataset
from trainers.evaluators import function
from trainers.latency import Latency
from trainers.metrics import Metric
from trainers.recipes import FOR_THE_WINNER, RECIPES, Recipe

if TYPE_CHECKING:
    from pathlib import Path

_VERIFIED_INT8 = f"verified  {int8.FILE} gives there what it gives here\n"


def export(arguments: argparse.Namespace) -> None:
    """Export a network as the command does.

    Args:
        arguments: see `read`.

    Raises:
        ConvnasError: `main` prints it as one line.
    """
    rule, recipe = _rule(arguments), _recipe(arguments)
    store = open_store(arguments)
    study = store.study(arguments.study)
    profile = profile_of(study) if arguments.device is None else find(arguments.device)
    recipe = recipe.judging_as(study.recipe)
    if arguments.retrain and recipe.evaluate is not None:
        function(recipe.evaluate)  # what cannot be trained is refused now
    retrainings, metric = store.retrainings(study), objective.metric_of(study)
    devices.spare_threads(min(study.dataset["shape"][1:]))
    chosen = _chosen(store, study, retrainings, rule, arguments)
    _say(f"trial {chosen.number}: {chosen.parsed_architecture}")
    kept = None if arguments.retrain else store.weights(chosen)
    if kept is None and not arguments.retrain:
        raise CommandError(
            f"trial {chosen.number} is far below the front, so its weights were not kept: add "
            "--retrain"
        )
    # All that can fail should fail before the training, not after it.
    prepare(arguments.output)
    searched, dataset = _datasets(study, arguments)
    with waiting("reading the test images"):
        test = dataset.open_test()
    proxy = Measured(
        chosen.val_accuracy or 0.0,
        len(searched.search.val),
        chosen.recipe,
        chosen.epochs,
        chosen.seed,
        metric=metric.name,
    )
    output: Path = arguments.output
    checkpoint = checkpoint_of(
        output.with_name(f".{output.name}.checkpoint"), chosen, dataset, recipe
    )
    if kept is not None:
        with waiting("measuring the weights that the search kept"):
            trained = from_search(proxy, kept, chosen, dataset, metric)
    else:
        told = f"{recipe.name}, {counted(recipe.epochs, 'epoch')}"
        _say(f"training  {told} on {len(dataset.search.train):,} images")
        trained = retrained(chosen, dataset, recipe, checkpoint)
    files, warning = _onnx_files(
        chosen,
        dataset,
        trained,
        proxy,
        arguments,
        as_trained=_as_trained(study, arguments),
    )
    shape = dataset.search.shape
    with waiting(f"measuring it on {len(test):,} test images"):
        looked, answers = look(store, study, chosen, trained, dataset, test)
        small = None if files.quantised is None else files.quantised.measured(test, shape)
    record = Record(proxy, trained.validation, looked, small)
    if profile is not None:
        record = dataclasses.replace(record, device=fit_of(profile, files.model, files.small))
    bundle = bundle_of(chosen, dataset, trained, record)
    looks = len(store.exports(study))
    timed: list[tuple[str, Latency]] = []

    def card(folder: "Path") -> str:
        with waiting("measuring how long an image takes"):
            timed.extend(latencies.of_forms(bundle, folder))
        return Card(
            study,
            chosen,
            dataset,
            record,
            trained.anew,
            answers,
            trained.answers,
            timed,
            latencies.hardware(),
            looks,
            means_of(chosen, retrainings),
            arguments.opset,
            files.dense,
        ).text()

    bundle.write(output, card, arguments.opset, files.contents)
    checkpoint.drop()
    _say(_told(record, trained, dataset, looks, metric, answers))
    _say("\n".join(_told_files(timed, record, output)))
    if warning is not None:
        _say(f"warning: {warning}")


def _told_files(
    timed: Sequence[tuple[str, Latency]], record: Record, output: "Path"
) -> Iterator[str]:
    """How fast the network is, how it is in int8, and what was seen of the files."""
    for where, latency in timed:
        milliseconds = f"{1000 * latency.median:.3g} ms"
        yield f"latency   {milliseconds} for a batch of {latency.batch} {where}, here"
    if record.int8 is not None:
        yield _told_int8(record.int8)
    if record.device is not None:
        yield told_device(record.device)
    yield _verified(output, record.int8)


def _verified(output: "Path", small: Int8 | None) -> str:
    """What was seen of the files, and where they are."""
    forms = ["model.py", *(form.FILE for form in FORMS.all().values())]
    return (
        f"verified  {', '.join(forms[:-1])} and {forms[-1]} give the network's outputs in float64 "
        f"to {MAX_DIFFERENCE:g}, or as nearly as float32 does, for batches of "
        f"{' and '.join(map(str, BATCHES))}, in a fresh process without convnas\n"
        f"{_VERIFIED_INT8 if small is not None else ''}"
        f"written   {output}; {output / 'README.md'} says how to load it"
    )


def _onnx_files(
    chosen: Evaluation,
    dataset: Dataset,
    trained: TrainedNetwork,
    proxy: Measured,
    arguments: argparse.Namespace,
    *,
    as_trained: bool,
) -> tuple[OnnxFiles, str | None]:
    """The ONNX files, and a warning about the one in int8.

    Raises:
        CommandError: int8 loses too much, and --int8 require asks for it.
    """
    # The test images are not needed for them.
    untested = Record(proxy, trained.validation, trained.validation)
    bundle = bundle_of(chosen, dataset, trained, untested)
    allowed = ALLOWED if arguments.int8_loss is None else arguments.int8_loss
    files = written(
        bundle,
        arguments.opset,
        dataset.search,
        None if arguments.int8 is None else allowed,
        as_trained=as_trained,
    )
    if files.quantised is None:
        return files, None
    return files, refuse_or_warn(files.quantised, required=arguments.int8 == "require")


def _told_int8(small: Int8) -> str:
    """What int8 loses and gains, beside float32 in the same runtime."""
    lines = [
        f"int8      {measured.int8:.2%} {split} accuracy, float32 {measured.fp32:.2%} in ONNX "
        f"Runtime: {between(measured)}"
        for split, measured in (("validation", small.validation), ("test", small.test))
    ]
    faster = small.int8_seconds / small.fp32_seconds
    lines.append(
        f"int8      {1000 * small.int8_seconds:.3g} ms for an image, float32 "
        f"{1000 * small.fp32_seconds:.3g} ms ({faster:.2f} times, one thread); "
        f"{small.int8_bytes / 1000:,.0f} kB, float32 {small.fp32_bytes / 1000:,.0f} kB"
    )
    if small.fp32_layers:
        lines.append(f"int8      left in float32: {', '.join(small.fp32_layers)}")
    return "\n".join(lines)


def _chosen(
    store: Store,
    study: Study,
    retrainings: Sequence[Retraining],
    rule: Rule,
    arguments: argparse.Namespace,
) -> Evaluation:
    """The network that a rule chooses.

    Raises:
        CommandError: there is none, or no rule; then the front is printed.
    """
    timing = latencies.timing_of(study, arguments)

    def seconds(member: Evaluation) -> float:
        as_trained = _as_trained(study, arguments)
        found, where = latencies.seconds(member, study, timing, as_trained=as_trained)
        _say(f"trial {member.number}: {1000 * found:.3g} ms for an image in {where}")
        return found

    evaluations = store.evaluations(study)
    members = front(complete(evaluations, study))
    anew = None
    if arguments.retrained:
        others = better_than_measured(study, evaluations)
        anew = retrained_front(members, retrainings, others=others)
    if not rule.given:
        aim, metric = objective.of(study), objective.metric_of(study)
        console().print(
            table(members, aim, expected(study, evaluations), metric)
            if anew is None
            else summary.front_of(anew, aim, metric)
        )
        raise CommandError(
            "which one? say --knee, --max-macs, --max-params, --max-latency, --min-accuracy or "
            "--trial"
        )
    if anew is None:
        with waiting("choosing the network"):
            return choose(
                study,
                evaluations,
                rule,
                seconds,
                None if arguments.retrain else store.with_weights(study) or None,
            )
    return choose_among(
        anew.front,
        rule,
        lambda member: seconds(member.evaluation),
        objective.metric_of(study),
    ).evaluation


def _told(
    record: Record,
    trained: TrainedNetwork,
    dataset: Dataset,
    looks: int,
    metric: Metric,
    answers: Answers,
) -> str:
    search, test, measured = record.search, record.test, trained.validation
    another = f", another measure than {metric.name}" * (not metric.is_accuracy)
    if metric.of is not None and not metric.is_accuracy:
        another = f", {metric.write(metric.of(answers))} {metric.name}"
    return (
        f"search    {metric.write(search.accuracy)} validation {metric.name}, a proxy "
        f"({search.recipe}, {counted(search.epochs, 'epoch')})\n"
        f"exported  {metric.write(measured.accuracy)} validation {metric.name} "
        f"({measured.recipe}, {counted(measured.epochs, 'epoch')}, "
        f"{counted(len(dataset.search.train), 'image')})\n"
        f"test      {test.accuracy:.2%} accuracy ({interval(test)}, 95 % confidence){another}; "
        f"look number {looks} at this study's test images"
    )


def _as_trained(study: Study, arguments: argparse.Namespace) -> bool:
    """Whether convolutions keep their groups: what is fast on this machine may not fit a device."""
    return arguments.as_trained or study.device is not None or arguments.device is not None


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what the user sees


def _rule(arguments: argparse.Namespace) -> Rule:
    rule = Rule(
        arguments.trial,
        arguments.knee,
        arguments.max_macs,
        arguments.max_params,
        arguments.max_latency,
        arguments.min_accuracy,
    )
    if rule.contradictory or (rule.trial is not None and arguments.retrained):
        raise CommandError("--trial says which network already: leave the other rules out")
    if rule.max_latency is None and (arguments.runtime or arguments.latency_threads):
        raise CommandError(
            "--runtime and --latency-threads say how --max-latency is measured: add it"
        )
    return rule


def _recipe(arguments: argparse.Namespace) -> Recipe:
    options = {
        "--recipe": arguments.recipe,
        "--epochs": arguments.epochs,
        "--subset": arguments.subset,
    }
    given = [option for option, value in options.items() if value is not None]
    if given and not arguments.retrain:
        raise CommandError(f"{given[0]} says how to train anew: add --retrain")
    if arguments.int8_loss is not None and arguments.int8 is None:
        raise CommandError("--int8-loss says what int8 may lose: add --int8")
    recipe = RECIPES.get(arguments.recipe or FOR_THE_WINNER)
    if arguments.epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=arguments.epochs)
    return recipe


def _datasets(study: Study, arguments: argparse.Namespace) -> tuple[Dataset, Dataset]:
    """The images of the search and those of the weights: a retraining takes all images."""
    stored, moved, kept = study.dataset, arguments.dataset, arguments.data_dir
    searched = dataset = images.searched(study, moved, kept)
    if arguments.retrain and arguments.subset != stored["subset"]:
        dataset = images.read(study, arguments.subset, moved, kept)
    if list(dataset.search.shape) != stored["shape"]:
        raise CommandError(
            f"all of {dataset.search.name} has images of {dataset.search.shape}, the part that was "
            f"searched on {tuple(stored['shape'])}: say --subset {stored['subset']}"
        )
    return searched, dataset
