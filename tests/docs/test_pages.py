"""Every command of the README and the docs runs, with less to do but otherwise as it stands."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from tests.docs.pages import PAGES, README, ROOT, blocks, commands, files, scripts
from tests.servers import Postgres, free_port
from trainers.data.registry import load

pytestmark = pytest.mark.timeout(900)

MAIN = "uv run python -m searchers.run --space mixed --budget 200"
TESTS = "pip install uv && uv run pytest"
"""What runs this."""
LESS = (
    # Scores are compared on ten networks at least.
    (r"--budget 200", "--budget 10 --rungs 6 --max-macs 300k"),
    (r"--budget \d\d\b(?! --rungs)", "--budget 2"),
    (r"--budget 100", "--budget 2"),
    (r"--retrain\b", "--retrain --epochs 1"),
    (r"--seeds 3\b", "--seeds 2 --epochs 1"),
    (r"--epochs 20\b", "--epochs 1"),
)
"""Less to do, in the same words."""
PATIENCE = 180.0
"""Seconds that a server may take to come and to go; on a busy machine it may be a minute."""
SERVES = re.compile(r"\bstudies\.dashboard\b")
PORT = re.compile(r"https?://[\w.]+:(\d+)")


def environment(home: Path) -> dict[str, str]:
    scripts = Path(sys.executable).parent
    return os.environ | {
        "HOME": str(home),
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }


def shorter(command: str) -> str:
    """A command with less to do."""
    for pattern, less in LESS:
        command = re.sub(pattern, less, command)
    return command


def run(command: str, folder: Path) -> None:
    """Run a command as a shell does; what it printed is shown if it fails."""
    command = shorter(command).removeprefix("pip install uv && ").replace("uv run ", "")
    if SERVES.search(command):
        serve(command, folder)
        return
    done = subprocess.run(
        ["/bin/bash", "-c", command],
        cwd=folder,
        env=environment(folder.parent),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def serve(command: str, folder: Path) -> None:
    """Run a command that serves pages until one is answered, and then press Ctrl-C."""
    log = folder / "served.log"
    with log.open("w") as out:
        server = subprocess.Popen(
            ["/bin/bash", "-c", f"exec env {command}"],
            cwd=folder,
            env=environment(folder.parent),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        latest = time.monotonic() + PATIENCE
        while not (found := PORT.search(log.read_text())):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < latest, "no address was printed"
            time.sleep(0.1)
        while not answers(int(found[1])):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < latest, "nobody answers"
            time.sleep(0.1)
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(timeout=PATIENCE)


def answers(port: int) -> bool:
    """Whether a page is served there; asked without proxies, which other tests may have set."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        try:
            connection.request("GET", "/dashboard/")
            return connection.getresponse().status == HTTPStatus.OK
        except OSError:
            return False


def photos(folder: Path) -> None:
    """Images in folders of classes."""
    data = load("digits").search
    for number in range(120):
        place = folder / data.classes[data.train.labels[number]]
        place.mkdir(parents=True, exist_ok=True)
        drawn = Image.fromarray(data.train.pixels[number, :, :, 0])
        ImageOps.colorize(drawn, "black", "orange").save(place / f"{number}.png")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with photos in folders of classes, and a folder in which the main job has run."""
    home = tmp_path_factory.mktemp("home")
    photos(home / "photos")
    table = ["path,label", *(f"{p.relative_to(home)},{p.parent.name}" for p in home.rglob("*.png"))]
    (home / "photos.csv").write_text("\n".join(table))
    data = load("digits").search
    read = home / README.stem
    read.mkdir()
    Image.fromarray(data.train.pixels[0, :, :, 0]).save(read / "photo.png")
    follow(README, read, skipping={TESTS})
    return home


def follow(page: Path, folder: Path, skipping: Collection[str]) -> None:
    """Do in a folder what a page says, but for commands that have been run there."""
    for name, text in files(page).items():
        (folder / name).write_text(text)
    with cluster(commands(page), folder.parent) as typed:
        exported = ""
        for command in typed:
            if command.startswith("export "):
                exported += f"{command}; "
            elif command not in skipping:
                run(exported + command, folder)
    for number, script in enumerate(scripts(page)):
        place = folder / f"script{number}.py"
        place.write_text(script)
        run(f"python -W error {place.name}", folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES[1:] if page.stem != "tutorial"], ids=lambda page: page.stem
)  # the tutorial has a test of its own
def test_every_command_and_script_of_a_page_runs(page: Path, home: Path) -> None:
    # Whoever reads it has followed the README, and is where that leads.
    folder = home / page.stem
    shutil.copytree(home / README.stem, folder)
    follow(page, folder, skipping={MAIN, *commands(README)})


@pytest.mark.slow
def test_every_command_and_script_of_the_readme_runs(home: Path) -> None:
    assert (home / README.stem / "best" / "model.py").exists()


@contextmanager
def cluster(typed: list[str], home: Path) -> Iterator[list[str]]:
    """The commands of a page but for those that start a Ray cluster, which is there meanwhile."""
    tokens = [command for command in typed if "ray get-auth-token" in command]
    starting = [command for command in typed if "ray start" in command]
    if not starting:
        yield typed
        return
    for command in tokens:
        plain = command.replace("uv run ", "")
        subprocess.run(["/bin/bash", "-c", plain], cwd=home, env=environment(home), check=True)
    port = free_port()
    nodes = []
    with Postgres() as server:
        try:
            for command in starting:
                wanted = command.replace("uv run ", "").replace("6379", str(port))
                wanted = wanted.replace("FIRST", "127.0.0.1")
                nodes.append(node(f"{wanted} --block --num-cpus 1", home))
            yield [
                command.replace("FIRST:6379", f"127.0.0.1:{port}").replace(
                    "postgresql+psycopg://USER@HOST/DATABASE", server.url.replace(":secret@", "@")
                )
                for command in typed
                if command not in (*tokens, *starting)
            ]
        finally:
            for started in nodes:
                os.killpg(started.pid, signal.SIGKILL)
                started.wait()


def node(command: str, home: Path) -> subprocess.Popen[bytes]:
    """Start a machine of a Ray cluster, and wait until it says that it runs."""
    log = home / f"ray-{free_port()}.log"
    with log.open("w") as out:
        started = subprocess.Popen(
            ["/bin/bash", "-c", f"exec env {command}"],
            cwd=home,
            env=environment(home),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    latest = time.monotonic() + PATIENCE
    while "Ray runtime started" not in log.read_text():
        assert started.poll() is None, log.read_text()
        assert time.monotonic() < latest, log.read_text()
        time.sleep(0.2)
    return started


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_says_whether_it_is_run(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= {"sh", "python", "text"}


def test_the_readme_has_its_commands_where_this_test_finds_them() -> None:
    assert TESTS in commands(README)
    assert any(command.endswith(MAIN) for command in commands(README))
