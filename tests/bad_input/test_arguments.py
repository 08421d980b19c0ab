"""Arguments that no command takes: one clear line each, and nothing is written."""

import io
import sys
from pathlib import Path

import pytest

from nas_space import networks
from nas_space.spaces import __main__ as spaces
from searchers.terminal.command import command
from studies import list as listing
from studies.export import command as export
from studies.pareto import command as pareto
from studies.records.store import Store
from tests.examples import evaluation, study
from tests.refusals import Command, called, refusal, search

_MODELS = "backbone:tests.nas_space.conversion.models"
SEARCHES: list[tuple[list[str], str]] = [
    (["--space", "mix"], "unknown space 'mix'; known spaces: mixed"),
    (["--space", ""], "unknown space ''"),
    (["--space", "a\nb"], "unknown space 'a\\nb'"),
    (["--space", "backbone:resnet19"], "unknown backbone 'resnet19'; did you mean resnet1"),
    (["--space", "backbone:resnet18"], "ResNet fails for an image of 1×8×8: Given groups=1"),
    (["--space", "backbone:no_module:net"], "no_module cannot be imported (ModuleNotFoundError"),
    (["--space", f"{_MODELS}:broken"], "the function failed (RuntimeError: no weights)"),
    (["--space", f"{_MODELS}:Choosy"], "torch.fx cannot follow its forward"),
    (["--space", f"{_MODELS}:Tiny", "--max-macs", "1k"], "--max-macs 1000 cannot be kept: the s"),
    (
        ["--space", f"{_MODELS}:Tiny", "--max-activation-memory", "1M"],
        "--max-activation-memory is not known for networks of backbone:",
    ),
    (
        ["--space", f"{_MODELS}:Tiny", "--objective", "activation-memory"],
        "--objective activation-memory is not known for networks of backbone:",
    ),
    (
        ["--space", f"{_MODELS}:Tiny", "--max-latency", "1ms"],
        "backbone:tests.nas_space.conversion.m",
    ),
    (["--space", f"{_MODELS}:Tiny", "--objective", "latency"], "is not predicted; limit their MA"),
    (["--init", "pretrained"], "--init pretrained is for backbones, not for 'mixed'"),
    (["--init", "random"], "invalid choice: 'random' (choose from"),
    (["--budget", "0"], "'0' is no whole number above 0"),
    (["--budget", "-1"], "'-1' is no whole number above 0"),
    (["--budget", "abc"], "'abc' is no whole number above 0"),
    (["--budget", "1.5"], "'1.5' is no whole number"),
    (["--budget", "1e3"], "'1e3' is no whole number"),
    (["--budget", "٣"], "'٣' is no whole number"),
    (["--budget", "99999999999999999999"], "is no whole number above 0"),
    (["--budget", "9" * 5000], "is no whole number above 0"),
    (["--budget", ""], "'' is no whole number"),
    (["--budget"], "expected one argument"),
    (["--objective", "flops"], "unknown objective 'flops'; known objectives: macs, params"),
    (["--sampler", "cmaes"], "unknown sampler 'cmaes'; known samplers: bayes, tpe"),
    (["--sampler", "nothing_there:Mine"], "nothing_there cannot be imported (ModuleNotFound"),
    (["--sampler", "optuna.samplers:"], " is nothing in optuna.samplers"),
    (["--sampler", "trainers.data.splits:Images"], "Images is no optuna.samplers.BaseSampler"),
    (["--rungs", ""], "'' is no list of epochs like 1,3,9"),
    (["--rungs", "a,b"], "'a,b' is no list of epochs"),
    (["--rungs", "1,,6"], "'1,,6' is no list of epochs"),
    (["--rungs", "6,2"], "--rungs 6,2 must ascend to the 6 epochs of a full training, like 2,6"),
    (["--rungs", "2,5"], "--rungs 2,5 must ascend to the 6 epochs"),
    (["--rungs", "0,6"], "--rungs 0,6 must ascend to the 6 epochs"),
    (["--recipe", "slow"], "unknown recipe 'slow'; known recipes: quick, full"),
    (["--recipe", "quick\n"], "unknown recipe 'quick\\n'"),
    (["--epochs", "0"], "'0' is no whole number above 0"),
    (["--seed", "-1"], "'-1' is no whole number from 0"),
    (["--seed", "x"], "'x' is no whole number from 0"),
    (["--seed", "99999999999"], "is no whole number from 0"),
    (["--dataset", "mnist"], "no data set 'mnist': give digits"),
    (["--dataset", ""], "no data set ''"),
    (["--dataset", "/no/such/folder"], "no data set '/no/such/folder'"),
    (["--dataset", "a\0b"], "no data set 'a\\x00b'"),
    (["--dataset", "caf\udce9"], "no data set 'caf\\udce9'"),
    (["--dataset", "/dev/null"], "no data set '/dev/null'"),
    (["--dataset", "."], "no images in"),
    (["--dataset", "x" * 300], "File name too long"),
    (["--dataset", "svhn", "--data-dir", "/dev/null"], "cannot get svhn: "),
    (["--dataset", "svhn", "--data-dir", "a\0b"], "cannot get svhn: 'embedded null byte'"),
    (["--dataset", "cifar10", "--image-size", "8"], "cifar10 has a fixed size"),
    (["--image-size", "0"], "'0' is no whole number above 0"),
    (["--image-size", "32"], "digits has a fixed size"),
    (["--subset", "none"], "'none' is no whole number"),
    (["--subset", "3"], "too few images"),
    (["--max-macs", "0"], "'0' is no positive number"),
    (["--max-macs", "-5M"], "expected one argument"),
    (["--max-macs", "5X"], "'5X' is no positive number like 500k"),
    (["--max-macs", "nan"], "'nan' is no positive number"),
    (["--max-macs", "1e999"], "'1e999' is no positive number"),
    (["--max-macs", "9" * 400], "is no positive number"),
    (["--max-macs", "1k"], "--max-macs 1000 cannot be kept: the smallest network"),
    (["--max-params", "10"], "--max-params 10 cannot be kept"),
    (["--max-activation-memory", "100"], "--max-activation-memory 100 cannot be kept"),
    (["--target", ""], "argument --target: '' is no positive number"),
    (["--target", "0"], "argument --target: '0' is no positive number"),
    (["--target", "2X"], "argument --target: '2X' is no positive number like 500k"),
    (["--target", "5ms"], "argument --target: '5ms' is no positive number"),
    (["--target", "nan"], "argument --target: 'nan' is no positive number"),
    (["--target"], "expected one argument"),
    (["--target", "5", "--objective", "latency"], "argument --target: '5' is no time like 5ms"),
    (["--target", "2M", "--objective", "flops"], "unknown objective 'flops'"),
    (["--target", "100"], "--target 100 is out of reach: networks of mixed within the limits"),
    (["--target", "1000G"], "is out of reach: networks of mixed within the limits have"),
    (["--target", "2M", "--max-macs", "1M"], "within the limits have 1.5k to 1M MACs"),
    (["--target", "2", "--objective", "params"], "--target 2 is out of reach"),
    (["--space", "mixed@3"], "unknown space 'mixed@3'"),
    (["--space", "separable@1"], "there is no separable@1: that version had no separable"),
    (["--max-latency", "5"], "'5' is no time like 5ms"),
    (["--latency-command", "ssh pi"], "--latency-command has no {model}"),
    (["--study", ""], "a study's name has 1 to 200"),
    (["--study", "x" * 201], "a study's name has 1 to 200"),
    (["--study", "a\nb"], "a study's name has 1 to 200 printable"),
    (["--study", "\x1b[2J"], "a study's name has 1 to 200 printable"),
    (["--study", "\u202egnirts"], "a study's name has 1 to 200 printable"),
    (["--study", " a"], "a study's name has 1 to 200"),
    (["--concurrency", "0"], "'0' is no whole number above 0"),
    (["--concurrency", "999999999"], "shares are at least 0.001"),
    (["--cpus-per-trial", "many"], "'many' is no number of CPUs or GPUs"),
    (["--cpus-per-trial", "nan"], "'nan' is no number of CPUs or GPUs"),
    (["--cpus-per-trial", "inf"], "'inf' is no number of CPUs or GPUs"),
    (["--cpus-per-trial", "1000"], "a trial wants 1000 CPUs but there are"),
    (["--cpus-per-trial", "0.00001"], "shares are at least 0.001"),
    (["--gpus-per-trial", "-1"], "'-1' is no number of CPUs or GPUs"),
    (["--gpus-per-trial", "1.5"], "more than one GPU is a whole number"),
    (["--address", "nonsense"], "--address must be HOST:PORT, not 'nonsense'"),
    (["--address", "127.0.0.1:99999"], "--address must be HOST:PORT"),
    (["--address", "ray://127.0.0.1:10001"], "--address must be HOST:PORT"),
    (["--address", "127.0.0.1:9"], "no Ray cluster at 127.0.0.1:9: Connection refused"),
    (["--address", "x" * 100 + ":80"], "--address must be HOST:PORT"),
    (["--address", "a..b:80"], "--address must be HOST:PORT"),
    (["--address", "\udcff:80"], "--address must be HOST:PORT"),
    (["--verbose=yes"], "ignored explicit argument 'yes'"),
    (["--nonsense"], "unrecognized arguments: --nonsense"),
    (["--nonsense\n\x1b[2J"], "unrecognized arguments: --nonsense\\n\\x1b[2J"),
    (["--s", "x"], "ambiguous option: --s could match --space"),
    (["extra"], "unrecognized arguments: extra"),
]


def named(value: object) -> str:
    return ascii(" ".join(value))[1:50] if isinstance(value, list) else ""


@pytest.mark.parametrize(("arguments", "reason"), SEARCHES, ids=named)
def test_the_search_refuses(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    assert reason in refusal(search(*arguments), capsys)
    assert list(here.iterdir()) == [], "nothing was written"


def test_the_search_needs_a_space_and_a_budget(capsys: pytest.CaptureFixture[str]) -> None:
    assert "required: --space, --budget" in refusal(lambda: command([]), capsys)


def test_a_password_behind_a_misspelt_option_is_not_repeated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for url in ("postgresql+psycopg://me:secret@host/db", "mysql://host/db?passwd=secret"):
        said = refusal(search("--storagge", url), capsys)
        assert "--storagge" in said
        assert "***" in said
        assert "secret" not in said


@pytest.mark.parametrize(
    ("main", "arguments", "reason"),
    [
        (spaces.main, ["--nonsense"], "unrecognized arguments: --nonsense"),
        (spaces.main, ["mixed"], "unrecognized arguments: mixed"),
        (networks.main, ["igc-l24"], "unknown network 'igc-l24'; did you mean"),
        (networks.main, [""], "unknown network ''"),
        (networks.main, ["a\nb"], "unknown network 'a\\nb'"),
        (networks.main, ["\udcff"], "unknown network '\\udcff'"),
        (networks.main, ["*nosuch*"], "no network's name is like '*nosuch*'"),
        (networks.main, ["[a-"], "no network's name is like '[a-'"),
        (networks.main, ["igc-l0m0-d20"], "a network needs at least 1 channel"),
        (networks.main, ["igc-l" + "9" * 5000 + "m2-d20"], "unknown network"),
        (networks.main, ["resnet-50-root-0"], "a root is a power of two from 1 to 64, not 0"),
        (networks.main, ["--build"], "expected one argument"),
        (networks.main, ["--build", "igc-*"], "unknown network 'igc-*'"),
        (networks.main, ["--build", "igc-l24m2-d20", "x"], "--build takes one name"),
    ],
    ids=lambda value: ascii(value)[:50] if isinstance(value, list) else "",
)
def test_the_commands_on_spaces_and_networks_refuse(
    main: Command, arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reason in refusal(called(main, *arguments), capsys)


@pytest.fixture
def _stored_study() -> None:
    store = Store("sqlite:///convnas.db", create=True)
    owner = store.enter(study("one"))
    store.record(evaluation(owner, 0, 0.9), lambda: b"weights")
    store.record(evaluation(owner, 1, None))
    store.close()


@pytest.mark.usefixtures("_stored_study")
@pytest.mark.parametrize(
    ("main", "arguments", "reason"),
    [
        (pareto.main, ["--study", "two"], "no study 'two' in sqlite:///convnas.db; it holds: one"),
        (pareto.main, ["--study", "\x1b[2J"], "no study '\\x1b[2J' in"),
        (pareto.main, ["--json", "--csv"], "not allowed with argument"),
        (pareto.main, ["extra"], "unrecognized arguments: extra"),
        (listing.main, ["--study", "one"], "unrecognized arguments: --study one"),
        (export.main, [], "which one? say --knee"),
        (export.main, ["--output", "."], "which one? say --knee"),
        (export.main, ["--output", ".", "--knee"], "exists already"),
        (export.main, ["--output", "o", "--trial", "7"], "no trial 7; the study has 0 to 1"),
        (export.main, ["--output", "o", "--trial", "1"], "trial 1 failed: RuntimeError"),
        (export.main, ["--output", "o", "--trial", "x"], "'x' is no trial number"),
        (export.main, ["--output", "o", "--trial", "٣"], "'٣' is no trial number"),
        (export.main, ["--output", "o", "--trial", "9" * 5000], "is no trial number"),
        (export.main, ["--output", "o", "--max-macs", "1k"], "smallest network of the front has"),
        (export.main, ["--output", "o", "--max-macs", "x"], "'x' is no positive number"),
        (export.main, ["--output", "o", "--min-accuracy", "2"], "--min-accuracy 2 is no accuracy"),
        (export.main, ["--output", "o", "--min-accuracy", "nan"], "'nan' is no accuracy"),
        (export.main, ["--output", "o", "--min-accuracy", "%"], "'%' is no accuracy"),
        (export.main, ["--output", "o", "--min-accuracy", "95%"], "the best of the front has 90"),
        (export.main, ["--output", "o", "--knee"], "is not what study one was searched on"),
        (
            export.main,
            ["--output", "o", "--knee", "--dataset", "/no"],
            "are not in /no: say where they are now",
        ),
        (export.main, ["--output", "o", "--recipe", "slow", "--retrain"], "unknown recipe 'slow'"),
        (export.main, ["--output", "o", "--knee", "--epochs", "5"], "add --retrain"),
        (export.main, ["--output", "o", "--knee", "--subset", "5"], "add --retrain"),
        (export.main, ["--output", "o", "--knee", "--trial", "0"], "leave the other rules out"),
        (export.main, ["--output", "x" * 300, "--knee"], "cannot write xxx"),
        (export.main, ["--output", "a\nb" * 200, "--knee"], "cannot write a\\nb"),
        (export.main, ["--output", "convnas.db/o", "--knee"], "cannot write convnas.db/o"),
        (export.main, ["--output", "/dev/null/o", "--knee"], "cannot write /dev/null/o"),
    ],
    ids=lambda value: ascii(" ".join(value))[:60] if isinstance(value, list) else "",
)
def test_the_commands_on_studies_refuse(
    main: Command, arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reason in refusal(called(main, *arguments), capsys)
    assert not Path("o").exists()


def test_output_that_is_closed_or_knows_few_letters_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store("sqlite:///convnas.db", create=True)
    store.enter(study("naïve"))
    store.close()
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="ascii"))
    assert called(listing.main)() == 0
    assert b"na?ve" in printed.getvalue()
    monkeypatch.setattr(sys, "stdout", None)
    assert called(listing.main)() == 0
    sys.stdout.close()  # the one that stood in
