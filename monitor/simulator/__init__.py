"""A faithful fake of the Linked API admin API, over real HTTP, with faults on demand.

It stands alone: nothing of the monitor is imported here.
"""

from .faults import Fault, api_error, html_page, redirect
from .knobs import Knobs
from .model import Customer, Session, SimulatedAccount
from .scenario import Step, login, play, steps
from .server import serve
from .simulator import Simulator

__all__ = [
    "Customer",
    "Fault",
    "Knobs",
    "Session",
    "SimulatedAccount",
    "Simulator",
    "Step",
    "api_error",
    "html_page",
    "login",
    "play",
    "redirect",
    "serve",
    "steps",
]
