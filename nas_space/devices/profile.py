"""A profile of a device, as a value and as a TOML file."""

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from nas_space.costs.cost import Cost
from nas_space.costs.operations import FP32_BYTES, OPERATORS, Tally
from nas_space.devices.operators import Operators
from nas_space.errors import ConvnasError

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,39}")
_BYTES = re.compile(r"(\d{1,12}) ?(B|kB|KiB|MB|MiB|GB|GiB)")
_UNITS = {"B": 1, "kB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}
_CLOCK = re.compile(r"\d{1,5} MHz")
_ONNX = re.compile(r"[A-Z][A-Za-z0-9]{1,39}")
_MOST_LETTERS = 400
_MOST_COUNT = 10**6
_MOST_FILE_BYTES = 2**16
INT8, FP32 = "int8", "fp32"
_MOST_FACTOR = 10


class ProfileError(ConvnasError):
    """An unknown device, or a file that is no profile of one."""


@dataclass(frozen=True, slots=True)
class Memory:
    """One of a device's memories.

    Attributes:
        total: bytes that it has.
        taken: bytes that all but the network take of it: runtime, its arena's records, program.
        source: where these come from.
        factor: bytes that a network takes for a counted one of its maps, or of its weights.
        channel: bytes that it takes for each output channel of a convolution.
        operation: bytes that it takes for each of its operations.
    """

    total: int
    taken: int
    source: str
    factor: float = 1.0
    channel: int = 0
    operation: int = 0

    def taken_by(self, counted: float, tally: Tally) -> int:
        """Bytes that a network takes.

        Args:
            counted: bytes of its maps, or of its weights.
            tally: of its operations.
        """
        records = self.channel * tally.channels + self.operation * tally.operations
        return math.ceil(self.factor * counted + records)

    @property
    def left(self) -> int:
        """Bytes that a network may take."""
        return self.total - self.taken


@dataclass(frozen=True, slots=True)
class Taken:
    """What a network takes of a device, in bytes.

    Attributes:
        ram: for its maps, and the runtime's records of its operations.
        flash: for its file.
    """

    ram: int
    flash: int


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a memory a network takes, in bytes.

    Attributes:
        memory: its name.
        taken: by the network.
        left: for any network.
    """

    memory: str
    taken: int
    left: int

    @property
    def fits(self) -> bool:
        """Whether there is as much."""
        return self.taken <= self.left


@dataclass(frozen=True, slots=True)
class Profile:
    """What of a device and its runtime limits a network; None is no limit, or not known.

    Attributes:
        name: as users type it.
        title: what people call it.
        runtime: the software that runs the network there.
        numbers: of weights and maps, ``int8`` or ``fp32``.
        clock: of a core, to tell devices apart; nothing is computed from it.
        ram: where maps lie.
        flash: where weights lie.
        operators: that the runtime has.
        operators_source: where these come from.
    """

    name: str
    title: str
    runtime: str
    numbers: str = INT8
    clock: str | None = None
    ram: Memory | None = None
    flash: Memory | None = None
    operators: Operators = Operators()  # noqa: RUF009 - it is frozen
    operators_source: str | None = None

    @property
    def is_int8(self) -> bool:
        """Whether it computes in int8."""
        return self.numbers == INT8

    @property
    def told(self) -> str:
        """Its name, what it is, and its runtime."""
        return f"{self.name}: {self.title}, {self.runtime}, {self.numbers}"

    @property
    def number_bytes(self) -> int:
        """Bytes of a number of a map."""
        return 1 if self.is_int8 else FP32_BYTES

    def taken_of(self, cost: Cost) -> "Taken | None":
        """What a network of some cost takes; None if it is not known."""
        numbers, tally = cost.activation_memory, cost.tally
        if numbers is None or tally is None:
            return None
        each = self.number_bytes
        return self.taken(numbers // FP32_BYTES * each, tally.weights * each, tally)

    def taken(self, maps: int, weights: int, tally: Tally) -> "Taken":
        """What a network takes.

        Args:
            maps: most bytes that live at once.
            weights: bytes.
            tally: of its operations.
        """
        return Taken(
            maps if self.ram is None else self.ram.taken_by(maps, tally),
            weights if self.flash is None else self.flash.taken_by(weights, tally),
        )

    def uses(self, taken: "Taken") -> tuple[Use, ...]:
        """How much of each memory that is limited a network takes."""
        memories = (("RAM", taken.ram, self.ram), ("flash", taken.flash, self.flash))
        return tuple(
            Use(name, took, memory.left) for name, took, memory in memories if memory is not None
        )

    def to_json(self) -> dict[str, Any]:
        """As plain dicts; `from_json` reads it."""
        data, has = asdict(self), self.operators.has
        # As JSON has it: what a study keeps is compared with what is asked for.
        data["operators"]["has"] = None if has is None else list(has)
        return data

    @staticmethod
    def from_json(data: Any) -> "Profile":  # noqa: ANN401 - JSON
        """Read what `to_json` gave, from a database of anyone.

        Raises:
            ProfileError: it is none.
        """
        try:
            given = dict(data)
            ram, flash, has = given.pop("ram"), given.pop("flash"), given.pop("operators")
            source = given.pop("operators_source")
            tables: dict[str, Any] = {
                name: {
                    "total": f"{memory['total']} B",
                    "taken": f"{memory['taken']} B",
                    "source": memory["source"],
                    **{name: memory[name] for name in ("factor", "channel", "operation")},
                }
                for name, memory in (("ram", ram), ("flash", flash))
                if memory is not None
            }
            limits = {name: value for name, value in has.items() if value is not None}
            if limits:
                tables["operators"] = {**limits, "source": source}
            kept = {name: value for name, value in given.items() if value is not None}
            if "operators" in tables and "has" in limits:
                tables["operators"]["has"] = list(limits["has"])
        except (TypeError, ValueError, KeyError, AttributeError):
            raise ProfileError("the study has a device that this version cannot read") from None
        return _Reader("the study's device").profile({**kept, **tables})

    @staticmethod
    def read(path: Path) -> "Profile":
        """Read a file.

        Raises:
            ProfileError: it is none; the line says which key is wrong.
        """
        try:
            if path.stat().st_size > _MOST_FILE_BYTES:
                raise ProfileError(f"{path} is too large to be a profile of a device")
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ProfileError(f"cannot read {path}: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise ProfileError(f"{path} is no text in UTF-8: write it as TOML") from None
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ProfileError(f"{path} is no TOML: {error}") from None
        return _Reader(str(path)).profile(data)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads a profile, and names the file and the key of what is wrong."""

    where: str

    def profile(self, data: Mapping[str, Any]) -> Profile:
        self._keys(data, "", {"name", "title", "runtime"}, _OPTIONAL)
        name = self._text(data, "name")
        if not _NAME.fullmatch(name):
            self._refuse("name", "up to 40 small letters, digits, dots and hyphens")
        numbers = self._text(data, "numbers") if "numbers" in data else INT8
        if numbers not in (INT8, FP32):
            self._refuse("numbers", f'"{INT8}" or "{FP32}"')
        clock = self._text(data, "clock") if "clock" in data else None
        if clock is not None and not _CLOCK.fullmatch(clock):
            self._refuse("clock", 'text like "216 MHz"')
        operators, source = self._operators(data)
        return Profile(
            name,
            self._text(data, "title"),
            self._text(data, "runtime"),
            numbers,
            clock,
            self._memory(data, "ram"),
            self._memory(data, "flash"),
            operators,
            source,
        )

    def _memory(self, data: Mapping[str, Any], name: str) -> Memory | None:
        if name not in data:
            return None
        table = self._table(data, name)
        self._keys(table, f"{name}.", {"total", "taken", "source"}, _RECORDS)
        total, taken = (self._bytes(table, name, key) for key in ("total", "taken"))
        if taken >= total:
            self._refuse(f"{name}.taken", f"less than {name}.total")
        factor = table.get("factor", 1.0)
        if isinstance(factor, bool) or not isinstance(factor, int | float):
            self._refuse(f"{name}.factor", "a number")
        if not 1 <= factor <= _MOST_FACTOR:
            self._refuse(f"{name}.factor", f"from 1 to {_MOST_FACTOR}")
        channel, operation = (self._whole(table, name, key, 0) for key in ("channel", "operation"))
        source = self._text(table, "source", name)
        return Memory(total, taken, source, float(factor), channel, operation)

    def _operators(self, data: Mapping[str, Any]) -> tuple[Operators, str | None]:
        if "operators" not in data:
            return Operators(), None
        table = self._table(data, "operators")
        counts = ("largest_kernel", "most_groups")
        self._keys(table, "operators.", {"source"}, {"has", *counts})
        has = table.get("has")
        if has is not None:
            if not isinstance(has, list) or not all(isinstance(each, str) for each in has):
                self._refuse("operators.has", "a list of texts")
            for each in has:
                if each not in OPERATORS and not _ONNX.fullmatch(each):
                    self._refuse("operators.has", f"of {', '.join(OPERATORS)}", repr(each[:40]))
        kernel, groups = (
            self._whole(table, "operators", key, 1) if key in table else None for key in counts
        )
        found = Operators(None if has is None else tuple(has), kernel, groups)
        return found, self._text(table, "source", "operators")

    def _whole(self, table: Mapping[str, Any], name: str, key: str, least: int) -> int:
        value = table.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int):
            self._refuse(f"{name}.{key}", "a whole number")
        if not least <= value <= _MOST_COUNT:
            self._refuse(f"{name}.{key}", f"from {least} to {_MOST_COUNT}")
        return value

    def _keys(
        self, data: Mapping[str, Any], before: str, needed: set[str], others: set[str]
    ) -> None:
        for key in data:
            if key not in needed | others:
                known = ", ".join(sorted(needed | others))
                raise ProfileError(
                    f"{self.where}: unknown key {before}{key[:40]}; known keys: {known}"
                )
        for key in sorted(needed - data.keys()):
            raise ProfileError(f"{self.where}: the key {before}{key} is missing")

    def _table(self, data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        table = data[name]
        if not isinstance(table, dict):
            self._refuse(name, f"a table, [{name}]")
        return table

    def _text(self, data: Mapping[str, Any], key: str, table: str = "") -> str:
        value, name = data[key], f"{table}.{key}" if table else key
        if not isinstance(value, str) or not value.isprintable() or not value.strip():
            self._refuse(name, "a line of text")
        if len(value) > _MOST_LETTERS:
            self._refuse(name, f"at most {_MOST_LETTERS} letters")
        return value

    def _bytes(self, table: Mapping[str, Any], name: str, key: str) -> int:
        value = table[key]
        match = _BYTES.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            self._refuse(f"{name}.{key}", 'text like "320 KiB" or "1 MB"', repr(value)[:40])
        return int(match[1]) * _UNITS[match[2]]

    def _refuse(self, key: str, wanted: str, found: str = "") -> NoReturn:
        instead = f", not {found}" if found else ""
        raise ProfileError(f"{self.where}: {key} must be {wanted}{instead}")


_RECORDS = {"factor", "channel", "operation"}
_OPTIONAL = {"numbers", "clock", "ram", "flash", "operators"}
