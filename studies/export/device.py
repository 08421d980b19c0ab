"""Whether an exported network fits a device: counted on its ONNX file, told on the card."""

from nas_space.bundle import Fit, int8
from nas_space.bundle.forms import onnx_model
from nas_space.cli import short
from nas_space.costs.operations import Tally
from nas_space.devices import Profile
from nas_space.devices.graph import Graph
from studies.export.markdown import code, plain

_SECTION = """\
## On a device

{device}: **{verdict}**. This was counted on `{file}`{as_int8} by the table of the
device's profile, not by the device's interpreter.

| what | the network | the device |
| --- | --- | --- |
{rows}

"""


def fit_of(profile: Profile, fp32: bytes, small: bytes | None) -> Fit:
    """Whether a network fits a device.

    Args:
        profile: of the device.
        fp32: content of the ONNX file in fp32.
        small: content of that in int8; None if there is none.
    """
    has_int8 = profile.is_int8 and small is not None
    graph = Graph.read(small if has_int8 and small is not None else fp32)
    as_int8 = profile.is_int8 and not has_int8
    taken = profile.taken(
        graph.maps_bytes(int8=as_int8),
        graph.weights_bytes(int8=as_int8),
        Tally.of(graph.operations),
    )
    return Fit(
        profile.told,
        int8.FILE if has_int8 else onnx_model.FILE,
        as_int8,
        profile.uses(taken),
        profile.operators.obstacles(graph.operations),
    )


def told(fit: Fit) -> str:
    """A line about it, for the terminal."""
    memories = ", ".join(
        f"{short(use.taken)}B of {short(use.left)}B {use.memory}" for use in fit.uses
    )
    lacks = f"; its runtime has {', '.join(fit.obstacles)}" * bool(fit.obstacles)
    counted = f", as in int8 ({_ASK})" if fit.as_int8 else ""
    return (
        f"device    {'fits' if fit.fits else 'DOES NOT FIT'} {fit.device}, by the table: "
        f"{memories or 'no limit of memory'}{lacks}; counted on {fit.file}{counted}"
    )


_ASK = "--int8 writes that file"


def section(fit: Fit) -> str:
    """The section of the card about it."""
    rows = [f"| {use.memory} | {use.taken:,} bytes | {use.left:,} bytes |" for use in fit.uses]
    lacks = ", ".join(map(plain, fit.obstacles)) or "all that are needed"
    rows.append(f"| operations | those of {code(fit.file)} | {lacks} |")
    return _SECTION.format(
        device=plain(fit.device),
        verdict="it fits" if fit.fits else "it does not fit",
        file=fit.file,
        as_int8=f", as it would be in int8 ({_ASK})," * fit.as_int8,
        rows="\n".join(rows),
    )
