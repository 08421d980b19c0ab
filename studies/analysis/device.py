"""The device of a study, and what its networks take of it."""

from collections.abc import Iterator, Sequence

from nas_space.cli import short
from nas_space.devices import Profile, Use
from studies.analysis.layer_costs import task_of
from studies.records.tables import Evaluation, Study


def profile_of(study: Study) -> Profile | None:
    """The device that a study's networks are for; None if it has none.

    Raises:
        ProfileError: this version cannot read what the study keeps of it.
    """
    return None if study.device is None else Profile.from_json(study.device)


def uses(evaluation: Evaluation, study: Study, profile: Profile) -> tuple[Use, ...]:
    """How much of each memory of a device a network takes, in closed form."""
    taken = profile.taken_of(evaluation.parsed_architecture.cost(task_of(study)))
    return () if taken is None else profile.uses(taken)


def told(found: tuple[Use, ...]) -> str:
    """How much a network takes, for people."""
    return " and ".join(f"{short(use.taken)}B of {short(use.left)}B {use.memory}" for use in found)


def device_lines(members: Sequence[Evaluation], study: Study) -> Iterator[str]:
    """Lines about the device of a study, and what the networks of a front take of it."""
    profile = profile_of(study)
    if profile is None:
        return
    yield f"device {profile.told}"
    for member in members:
        said = told(uses(member, study, profile))
        if said:
            yield f"trial {member.number} takes {said}"
