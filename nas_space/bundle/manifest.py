"""The manifest of a folder: the size and SHA-256 of each file, by which a changed byte is seen."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from nas_space.errors import ConvnasError

MANIFEST = "manifest.json"
FORMAT = 1
"""Version of the folder's form."""
_MAX_JSON_BYTES = 2**24
_CHUNK_BYTES = 2**20


class BundleError(ConvnasError):
    """A folder that is no exported network, that is damaged, or that cannot be written."""


def seal(folder: Path) -> None:
    """Write the manifest of all files that lie in a folder."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": _digest(path)}
        for path in sorted(folder.iterdir())
    }
    write_json(folder / MANIFEST, {"format": FORMAT, "files": files})


def check(folder: Path, needed: frozenset[str]) -> None:
    """Make sure that every file of the manifest is what it was, and that all needed are there.

    Files that the manifest does not name are left alone: Python puts its caches there.

    Raises:
        BundleError: no manifest, or a file that is missing, changed, a link, or elsewhere.
    """
    if not folder.is_dir():
        raise BundleError(f"{folder} is no exported network: there is no such folder")
    data = read_json(folder / MANIFEST)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise BundleError(f"{folder / MANIFEST} is none that this version reads: export it again")
    files = data.get("files")
    if not isinstance(files, dict):
        raise BundleError(f"{folder / MANIFEST} lists no files")
    for name, entry in files.items():
        if name in {"", ".", ".."} or Path(name).name != name or "\\" in name or "\0" in name:
            raise BundleError(f"{folder / MANIFEST} names {name[:80]!r}, which leads out of it")
        _check_file(folder / name, entry)
    missing = sorted(needed - files.keys())
    if missing:
        raise BundleError(f"{folder / MANIFEST} does not list {missing[0]}")


def read_json(path: Path) -> object:
    """Read a JSON file.

    Raises:
        BundleError: it is missing, unreasonably large, or no JSON.
    """
    if not path.is_file():
        raise BundleError(f"{path} is missing: this is no whole exported network")
    if path.stat().st_size > _MAX_JSON_BYTES:
        raise BundleError(f"{path} is too large to be what it should be")
    try:
        data: object = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise BundleError(f"{path} is no JSON: it is damaged, copy the folder again") from None
    return data


def write_json(path: Path, data: Mapping[str, object]) -> None:
    """Write a JSON file that people can read."""
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _check_file(path: Path, entry: object) -> None:
    if path.is_symlink():
        raise BundleError(f"{path} is a link, which may lead out of the folder: copy the file")
    if not path.is_file():
        raise BundleError(f"{path} is missing: copy the folder again")
    try:
        now = {"bytes": path.stat().st_size, "sha256": _digest(path)}
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror or error}") from None
    if entry != now:
        raise BundleError(f"{path} is not the file that was exported: copy the folder again")


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
