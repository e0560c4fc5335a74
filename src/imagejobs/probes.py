"""Probes: silent in production, armed by a test through `IMAGEJOBS_PROBES`.

`IMAGEJOBS_PROBES="stage.after_commit=kill"` ends the process with SIGKILL the first time that point is reached;
`=kill@3` waits for the third time. Several, separated by commas.
"""

import os
import re
import signal
from dataclasses import dataclass, field

from imagejobs.errors import ConfigurationError
from imagejobs.ports import Probe

_ORDER = re.compile(r"([a-z_.]+)=kill(?:@(\d+))?")


class SilentProbe:
    """Does nothing."""

    async def __call__(self, point: str) -> None: ...


@dataclass
class ArmedProbe:
    """Kills this process at named points."""

    orders: dict[str, int]
    passed: dict[str, int] = field(default_factory=dict)

    async def __call__(self, point: str) -> None:
        if point not in self.orders:
            return
        self.passed[point] = self.passed.get(point, 0) + 1
        if self.passed[point] == self.orders[point]:
            os.kill(os.getpid(), signal.SIGKILL)


def probe_from(orders: str | None) -> Probe:
    """The probe that the orders ask for."""
    if not orders:
        return SilentProbe()
    parsed = {}
    for order in orders.split(","):
        match = _ORDER.fullmatch(order.strip())
        if match is None:
            raise ConfigurationError([f"IMAGEJOBS_PROBES: “{order}” is not of the form point=kill or point=kill@2."])
        parsed[match[1]] = int(match[2] or 1)
    return ArmedProbe(parsed)
