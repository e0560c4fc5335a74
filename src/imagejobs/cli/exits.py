"""Exit codes: part of the interface, for scripts to decide on."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    JOB_FAILED = 1
    USAGE = 2
    WAIT_TIMED_OUT = 3
    LOGIN = 4
    NOT_FOUND = 5
    CAP_REACHED = 6
    OUTCOME_UNKNOWN = 7
    UNREACHABLE = 8
    CONFIGURATION = 78
    INTERRUPTED = 130


EXIT_CODES_HELP = (
    "Exit codes: 0 done · 1 the job failed, or the check found something · 2 wrong usage or a refused request · "
    "3 the wait timed out, the job goes on · "
    "4 the key was not accepted · 5 not found · 6 a spending cap is reached · 7 outcome unknown, it may have been billed · "
    "8 the service or the picture cannot be reached · 78 wrong configuration · 130 interrupted, the job goes on"
)
