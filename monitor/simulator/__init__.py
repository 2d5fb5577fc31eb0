"""A faithful fake of the Linked API admin API, over real HTTP, with faults on demand.

It stands alone: nothing of the monitor is imported here.
"""

from .actions import Simulator
from .assumptions import Assumptions
from .faults import Fault
from .scenario import Step, login, play
from .server import serve

__all__ = ["Assumptions", "Fault", "Simulator", "Step", "login", "play", "serve"]
