"""The same search from Python, for notebooks: results are pandas frames, and show themselves.

    from searchers.notebook import search

    found = search("mixed", budget=20)
    found.front                              # a pandas frame
    found.best(max_macs=500_000)             # a row of it
    found.report()                           # an HTML page

It calls the code of the commands, and does nothing else.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

from nas_space import extras
from nas_space.cli import expanded
from nas_space.errors import ConvnasError
from searchers.ray.cluster import Cluster
from searchers.setup import set_up
from searchers.terminal import arguments
from studies.analysis.facts import Facts
from studies.arguments import default_url
from studies.export import choose
from studies.export.choose import Rule
from studies.export.command import read
from studies.export.exporting import export
from studies.records.store import Store
from studies.records.tables import Evaluation
from studies.report.page import front_alone
from studies.report.writing import write

extras.check("notebook", "the Python interface")

import pandas as pd  # noqa: E402 - what is missing is told first

T = TypeVar("T")
_COLUMNS = (
    "key",
    "status",
    "val_accuracy",
    "epochs",
    "macs",
    "params",
    "activation_memory",
    "latency",
    "seconds",
    "error",
)


class RefusedError(ConvnasError):
    """A refusal; the message is the line that the command would print."""


class SearchOptions(TypedDict, total=False):
    """The options of ``python -m searchers.run``, whose help explains each.

    Quantities may be numbers or texts such as ``"5M"``, times are texts such as ``"5ms"``.
    """

    init: str
    objective: str
    target: int | str
    max_macs: int | str
    max_params: int | str
    max_activation_memory: int | str
    max_latency: str
    latency_command: str
    runtime: str
    latency_threads: int
    latency_batch: int
    device: str | Path
    dataset: str | Path
    image_size: int
    max_pixels: int | str
    subset: int
    val_subset: int
    no_flip: bool
    data_dir: str | Path
    recipe: str
    metric: str
    balance: str
    evaluate: str
    plugin: Sequence[str]
    limit: Sequence[str]
    epochs: int
    rungs: Sequence[int]
    sampler: str
    seed: int
    study: str
    storage: str
    concurrency: int
    cpus_per_trial: float
    gpus_per_trial: float
    trial_timeout: int
    start_timeout: int
    address: str
    verbose: bool


class ExportOptions(TypedDict, total=False):
    """The options of ``python -m studies.export``, whose help explains each."""

    knee: bool
    max_macs: int | str
    max_params: int | str
    max_latency: str
    runtime: str
    latency_threads: int
    min_accuracy: float | str
    trial: int
    retrained: bool
    retrain: bool
    recipe: str
    epochs: int
    subset: int
    dataset: str | Path
    data_dir: str | Path
    opset: int
    as_trained: bool
    int8: bool | str
    int8_loss: float | str
    device: str | Path
    plugin: Sequence[str]


def search(space: str, budget: int, **options: Unpack[SearchOptions]) -> "Found":
    """Start or continue a search, and wait for its end.

    After one interruption of the kernel, running trials finish, and the result is returned.

    Args:
        space: the networks to choose from, such as ``"mixed"``.
        budget: how many full trainings to pay for.
        options: see `SearchOptions`.

    Raises:
        RefusedError: the command would refuse this, with the same line.
        KeyboardInterrupt: there were two interruptions; what was recorded stays.
    """
    argv = ["--space", space, "--budget", str(budget), *_argv(options)]
    settings = _parsed(arguments.read, argv)
    with _refusals():
        setup = set_up(settings)
        with _quiet(), Cluster(settings.cluster, verbose=settings.verbose) as cluster:
            # It imports Ray, which must see what `Cluster` has set.
            from searchers.terminal import session  # noqa: PLC0415

            finding = session.conduct(settings, setup, cluster)
    finding.store.close()
    if finding.over_because is not None:
        print(f"ended before its budget: {finding.over_because}")  # noqa: T201
    return Found(settings.storage, finding.study.name)


def load(study: str | None = None, storage: str | None = None) -> "Found":
    """The result of an earlier search.

    Args:
        study: its name; None where the database holds only one.
        storage: the database; None is what the commands take where they are told none.

    Raises:
        RefusedError: there is none.
    """
    where = storage or default_url()
    with _refusals(), closing(Store(where)) as store:
        return Found(where, store.study(study).name)


@dataclass(frozen=True, slots=True)
class Found:
    """A study; every property and method reads the database again.

    Attributes:
        storage: the database.
        study: its name.
    """

    storage: str
    study: str

    @property
    def evaluations(self) -> pd.DataFrame:
        """All trainings by trial, also partial and failed ones."""
        return _frame(self._facts().evaluations)

    @property
    def front(self) -> pd.DataFrame:
        """The Pareto front, by ascending cost."""
        return _frame(self._facts().front)

    def best(
        self,
        *,
        knee: bool = False,
        max_macs: int | None = None,
        max_params: int | None = None,
        min_accuracy: float | None = None,
    ) -> "pd.Series[Any]":
        """The row of the front that a rule picks; without a rule, the most accurate.

        Args:
            knee: where more cost stops paying, within the limits.
            max_macs: the most accurate within this many multiply-adds per image.
            max_params: the most accurate within this many parameters.
            min_accuracy: the cheapest of at least this validation accuracy, 0 to 1.

        Raises:
            RefusedError: no network fits the rule.
        """
        facts = self._facts()
        rule = Rule(None, knee, max_macs, max_params, None, min_accuracy)
        with _refusals():
            chosen = choose.choose(
                facts.study, facts.evaluations, rule, lambda member: member.latency or 0.0
            )
        return _frame([chosen]).iloc[0]

    def report(self, path: str | Path | None = None, against: str | None = None) -> Path:
        """Write the search as one HTML page, see ``python -m studies.report``; its path.

        Raises:
            RefusedError: it cannot be written.
        """
        with _refusals(), closing(Store(self.storage)) as store:
            return write(store, self.study, against, expanded(str(path)) if path else None)

    def export(self, output: str | Path, **options: Unpack[ExportOptions]) -> Path:
        """Write a network to a folder, see ``python -m studies.export``; the folder.

        Args:
            output: the folder to make.
            options: see `ExportOptions`.

        Raises:
            RefusedError: the command would refuse this.
        """
        where = {"study": self.study, "storage": self.storage, "output": output}
        with _refusals():
            export(_parsed(read, _argv({**where, **options})))
        return expanded(str(output))

    def _repr_html_(self) -> str:
        """The front as a picture and as a table, where a notebook shows it."""
        facts = self._facts()
        if not facts.front:
            return f"<p>study {self.study}: no finished evaluations yet</p>"
        return f"{front_alone(facts)}{_frame(facts.front)._repr_html_()}"

    def _facts(self) -> Facts:
        with _refusals(), closing(Store(self.storage)) as store:
            return Facts.of(store, self.study)


def _frame(entries: Sequence[Evaluation]) -> pd.DataFrame:
    rows = [
        {
            "trial": entry.number,
            **{column: getattr(entry, column) for column in _COLUMNS},
            "status": entry.status.value,
            "architecture": entry.parsed_architecture,
        }
        for entry in entries
    ]
    return pd.DataFrame(rows, columns=["trial", *_COLUMNS, "architecture"]).set_index("trial")


def _argv(options: Mapping[str, Any]) -> list[str]:
    """Options as words of a command line."""
    words: list[str] = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            words += [option, ",".join(map(str, value))]
        elif value is not None and value is not False:
            words += [option, str(value)]
    return words


def _parsed(read: Callable[[Sequence[str]], T], argv: Sequence[str]) -> T:
    """A command line, read by the command's own parser."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), _refusals():
            return read(argv)
    except SystemExit:
        raise RefusedError(said.getvalue().strip().removeprefix("error: ")) from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence libraries that ask for widgets to draw progress bars."""
    logging.getLogger("ray.widgets.util").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")
        yield


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Raise the line that a command would print."""
    try:
        yield
    except ConvnasError as error:
        raise RefusedError(str(error)) from None
