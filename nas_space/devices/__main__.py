"""`python -m nas_space.devices`: the profiles of devices, and what each leaves to a network."""

from nas_space.cli import Parser, console, run, short
from nas_space.devices import DEVICES, Memory, find
from nas_space.programs import program
from nas_space.tables import Column, Fitted


def main() -> int:
    """Print the profiles, or all of one."""
    return run(_main)


def _main() -> int:
    parser = Parser(
        prog=program("nas_space.devices"),
        description="Devices that --device knows, with what each leaves to a network: RAM for maps "
        "and flash for weights. No figure: no limit.",
    )
    parser.add_argument(
        "device", nargs="?", metavar="PROFILE", help="show all of one, or of a file like my.toml"
    )
    given = parser.parse_args().device
    if given is None:
        console().print(_table())
    else:
        _show(given)
    return 0


def _table() -> Fitted:
    columns = (
        Column("device", left=True),
        *map(Column, ("RAM", "flash", "numbers")),
        Column("clock", wide=True),
        Column("what", text=True),
        Column("runtime", text=True),
    )
    rows = [
        (
            profile.name,
            _left(profile.ram),
            _left(profile.flash),
            profile.numbers,
            profile.clock or "",
            profile.title,
            profile.runtime,
        )
        for profile in DEVICES.all().values()
    ]
    return Fitted(columns, rows, lines=False)


def _left(memory: Memory | None) -> str:
    return "" if memory is None else f"{short(memory.left)}B"


def _show(name: str) -> None:
    profile = find(name)
    lines = {
        "device": f"{profile.name}: {profile.title}",
        "runtime": f"{profile.runtime}, {profile.numbers}",
        "clock": profile.clock or "not said",
    }
    for title, memory in (("RAM", profile.ram), ("flash", profile.flash)):
        lines[title] = "no limit"
        if memory is not None:
            lines[title] = (
                f"{short(memory.left)}B for a network, of {short(memory.total)}B; it takes "
                f"{memory.factor:g} bytes for a counted one, {memory.channel} a channel, "
                f"{memory.operation} an operation ({memory.source})"
            )
    has = profile.operators.has
    said = "all that an export has" if has is None else ", ".join(has)
    kernel, groups = profile.operators.largest_kernel, profile.operators.most_groups
    said += f"; kernels of up to {kernel}×{kernel}" * (kernel is not None)
    said += f"; up to {groups} groups" * (groups is not None)
    source = profile.operators_source
    lines["operators"] = said if source is None else f"{said} ({source})"
    for title, line in lines.items():
        print(f"{title:9} {line}")  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(main())
