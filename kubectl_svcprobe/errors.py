"""Every error the user can meet, and the exit codes.

    SvcprobeError                 printed as one line on stderr, never with a traceback
    ├── UsageError                the command line asks for something that cannot be                  exit 2
    ├── AccessError               kubeconfig, credentials, or a server that does not answer           exit 3
    │   └── ApiError              the API server answered, and the answer is a refusal
    │       ├── Unauthorized      401
    │       ├── Forbidden         403
    │       ├── NotFound          404
    │       ├── Conflict          409 (also: already exists)
    │       ├── Gone              410 (a watch that must start again)
    │       └── Invalid           422
    ├── NoService                     what the user named leads to no Service, or it cannot be told         exit 3
    ├── ProbePodError             the probe pod could not do its work; the report still comes
    ├── UnsafeClient              no pod can stand in for this client without the risk of being taken for one of its own
    └── Interrupted               SIGINT, SIGTERM or SIGHUP                                           exit 128 + signal

A bad state of the cluster is never an exception: it is a finding.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process returns; `docs/exit-codes.md` is generated from here."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    UNKNOWN = 3
    SIGHUP = 129
    SIGINT = 130
    SIGTERM = 143

    @property
    def meaning(self) -> str:
        """One sentence for the documentation."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "Nothing at or above `--fail-on` was found (by default: no error).",
    ExitCode.FINDINGS: "At least one finding at or above `--fail-on`.",
    ExitCode.USAGE: "The command line cannot be understood.",
    ExitCode.UNKNOWN: "Could not tell: no such Service, no permission, or the API server or the probe pod is not "
    "available, and no finding decides without it.",
    ExitCode.SIGHUP: "The terminal went away (SIGHUP). The probe pod was removed first.",
    ExitCode.SIGINT: "Interrupted by Ctrl-C (SIGINT). The probe pod was removed first.",
    ExitCode.SIGTERM: "Ended by SIGTERM. The probe pod was removed first.",
}


class SvcprobeError(Exception):
    """Base of all errors that are meant for the user; `str()` is the line to print."""

    exit_code = ExitCode.UNKNOWN


class UsageError(SvcprobeError):
    """The command line asks for something that cannot be."""

    exit_code = ExitCode.USAGE


class NoService(SvcprobeError):
    """What the user named leads to no Service: `str()` says what it is instead, or what could not be looked at."""


class AccessError(SvcprobeError):
    """The cluster cannot be asked: kubeconfig, credentials, or a server that does not answer."""


class ApiError(AccessError):
    """The API server answered with a refusal.

    `status` is the HTTP status, `reason` the machine-readable reason of the Status object (may be empty) and
    `message` its text as the server wrote it.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status = status
        self.reason = reason
        self.message = message
        super().__init__(f"Error from server ({reason}): {message}" if reason else f"Error from server: {message}")


class Unauthorized(ApiError):
    """401: the server does not know who is asking."""

    def __str__(self) -> str:
        return "error: You must be logged in to the server (Unauthorized)"


class Forbidden(ApiError):
    """403: the server knows who is asking and says no."""


class NotFound(ApiError):
    """404: the object, or the whole resource type, does not exist."""


class Conflict(ApiError):
    """409: the object has changed, or exists already."""


class Gone(ApiError):
    """410: the resource version is too old; list again."""


class Invalid(ApiError):
    """422: the object is not acceptable."""

    def __str__(self) -> str:
        return f"The {self.message}" if " is invalid: " in self.message else super().__str__()


_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
}


def api_error(status: int, reason: str, message: str) -> ApiError:
    """The exception class that stands for this HTTP status."""
    return _BY_STATUS.get(status, ApiError)(status, reason, message)


class ProbePodError(SvcprobeError):
    """The probe pod could not do its work: `str()` says why, in the cluster's own words."""


class UnsafeClient(SvcprobeError):
    """A pod that stands in for this client might get its requests or be counted as one of its own: `str()` says by what."""


class Interrupted(BaseException):
    """A signal asked the program to end; a BaseException so that no `except Exception` swallows it."""

    def __init__(self, signum: int) -> None:
        self.signum = signum
        super().__init__(signum)

    @property
    def exit_code(self) -> int:
        """128 plus the signal's number, as a shell reports it."""
        return 128 + self.signum
