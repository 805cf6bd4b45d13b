"""Every type of Service by every protocol, as data, and what the command has to say of each: see README.md."""

from .cell import Cell, Expected, dual_stack, matrix
from .run import Seen, look

__all__ = ["Cell", "Expected", "Seen", "dual_stack", "look", "matrix"]
