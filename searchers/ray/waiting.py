"""What is said while no worker starts, and when the search ends for that."""

from collections.abc import Callable
from dataclasses import dataclass

from searchers.ray.cluster import machines
from searchers.ray.resources import ClusterError, Resources

_SAID_AFTER_SECONDS = 60.0
"""A start takes seconds, or a minute on a network drive: later something is wrong."""


@dataclass(slots=True)
class Starts:
    """Watches whether workers start.

    Attributes:
        resources: of a trial.
        most: seconds that a worker may take to start.
        say: gets a line for the user.
    """

    resources: Resources
    most: float
    say: Callable[[str], None]
    _slow: bool = False
    _stalled: bool = False

    def watch(self, setting_up: float, stalled: float) -> None:
        """Say once what is waited for.

        Args:
            setting_up: for how many seconds a worker has been setting up.
            stalled: for how many seconds there are trials, but no worker for any of them.

        Raises:
            ClusterError: no worker started in time.
        """
        late = min(_SAID_AFTER_SECONDS, self.most / 2)
        if setting_up > late and not self._slow:
            self.say(
                f"a worker does not start: it still sets up; it is ended after {self.most:.0f} s "
                "(--start-timeout)"
            )
        if stalled > late and not self._stalled:
            self.say(
                f"waiting: {self._cause()}; the search ends after {self.most:.0f} s of this "
                "(--start-timeout)"
            )
        if stalled > self.most:
            raise ClusterError(
                f"{self._cause()}, for {self.most:.0f} s: mend the cluster and give the same "
                "command again, or allow more with --start-timeout"
            )
        self._slow, self._stalled = setting_up > late, stalled > late

    def _cause(self) -> str:
        if any(map(self.resources.fit, machines())):
            return "a worker does not start, or all machines are busy with other work"
        return f"no machine of the cluster has {self.resources} for a trial"
