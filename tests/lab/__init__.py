"""A real Kubernetes with several nodes on one Linux machine, for tests and for trying things out (docs/lab.md)."""

from .lab import Lab
from .layout import CURL_STAND_IN, LabError
from .life import AlreadyRunningError, NotRunningError

__all__ = ["CURL_STAND_IN", "AlreadyRunningError", "Lab", "LabError", "NotRunningError"]
