"""Optuna's dashboard on a study, with our networks in it."""

import argparse
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna
from optuna.storages import RDBStorage
from optuna_dashboard import get_note, save_note, wsgi

from nas_space.cli import short
from nas_space.spaces import registry as spaces
from nas_space.spaces.space import UnknownSpaceError
from studies.analysis.layer_costs import layer_costs, task_of
from studies.cli import CommandError, open_store
from studies.pareto.front import front
from studies.records.claims import at_work
from studies.records.fidelity import complete
from studies.records.optuna_mirror import NUMBER, OptunaMirror
from studies.records.store import Store
from studies.records.tables import Evaluation, Study

_HOST = "127.0.0.1"


def serve(arguments: argparse.Namespace, ports: Sequence[int]) -> int:
    """Serve the dashboard until it is interrupted.

    Args:
        arguments: see `studies.dashboard`.
        ports: the first free one of them is used.
    """
    _hush()
    with closing(open_store(arguments)) as store:
        shown = store.study(arguments.study)
        url = store.database.url.render_as_string(hide_password=False)
        trouble = _complete(store, shown, url)
    storage = RDBStorage(url)
    study = optuna.load_study(study_name=shown.name, storage=storage)
    with _server(wsgi(storage), ports) as server:
        place = f"http://{_HOST}:{server.server_port}/dashboard/studies/{study._study_id}"  # noqa: SLF001
        if trouble is not None:
            print(f"not everything is shown ({trouble})")  # noqa: T201
        print(f"dashboard {place}  (Ctrl-C ends it)", flush=True)  # noqa: T201
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()  # noqa: T201 - after ^C
    return 0


def _complete(store: Store, study: Study, url: str) -> str | None:
    """Bring Optuna's view up to date; the reason if that failed, otherwise None."""
    try:
        catalogue = spaces.recorded(study.space).catalogue()
    except UnknownSpaceError as error:
        return str(error)
    evaluations = store.evaluations(study)
    with closing(OptunaMirror(url, study, catalogue)) as mirror:
        # A running search adds its own trials: they would appear twice.
        if not at_work(store, study):
            mirror.catch_up(evaluations)
        _write_notes(mirror.study, study, front(complete(evaluations, study)))
        return mirror.trouble


def _write_notes(shown: optuna.Study, study: Study, members: list[Evaluation]) -> None:
    """Write each network of the front into the note of its trial, if the note is empty."""
    wanted = {member.number: member for member in members}
    for trial in shown.get_trials(deepcopy=False):
        member = wanted.get(trial.user_attrs.get(NUMBER, -1))
        if member is not None:
            place = optuna.Trial(shown, trial._trial_id)  # noqa: SLF001 - it has no other name
            if not get_note(place):
                save_note(place, note(member, study))


def note(evaluation: Evaluation, study: Study) -> str:
    """A network layer by layer, as a table in Markdown."""
    layers = list(layer_costs(evaluation.parsed_architecture, task_of(study)))
    total = sum(row.macs for row in layers)
    head = "| layer | convolution | channels | MACs | share |\n| --- | --- | --- | --- | --- |\n"
    return f"On the front: {short(total)} MACs (multiply-adds per image).\n\n{head}" + "\n".join(
        f"| {row.layer} | {row.convolution} | {row.channels[0]}→{row.channels[1]} | "
        f"{short(row.macs)} | {row.macs / total:.1%} |"
        for row in layers
    )


class _Server(ThreadingMixIn, WSGIServer):
    """Answers several requests at once, and waits for none of them when it ends."""

    daemon_threads = True
    block_on_close = False


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - theirs
        """Say nothing."""


@contextmanager
def _server(
    application: Any,  # noqa: ANN401 - WSGI's
    ports: Sequence[int],
) -> Iterator[_Server]:
    """A server on the first free port."""
    for number in ports:
        try:
            made = make_server(_HOST, number, application, _Server, _Silent)
        except OSError as error:
            reason = error.strerror or str(error)
            continue
        with made:
            yield made
        return
    raise CommandError(f"port {ports[-1]} cannot be used ({reason}): give another --port")


def _hush() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("optuna_dashboard").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
