"""The processor of this machine, and versions of libraries, without torch."""

import importlib.metadata
import platform
from pathlib import Path


def processor() -> str:
    """The model of the CPU, if the system tells it."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        named = (line for line in info.read_text().splitlines() if line.startswith("model name"))
        model = next(named, f":{model}").partition(":")[2].strip()
    return model


def versions(*libraries: str) -> dict[str, str]:
    """Versions of Python and of the libraries that a number may depend on."""
    return {"python": platform.python_version()} | {
        library: importlib.metadata.version(library) for library in libraries
    }
