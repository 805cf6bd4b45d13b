"""A real Kubernetes with several nodes on one Linux machine, for tests and for trying things out (docs/lab.md)."""

from .lab import Lab, NotRunningError
from .layout import CURL_STAND_IN, LabError

__all__ = ["CURL_STAND_IN", "Lab", "LabError", "NotRunningError"]
