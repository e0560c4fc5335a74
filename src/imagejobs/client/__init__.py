"""The Python client of the web API. It knows the API only: nothing of the server is imported here.

http     Client: one method per route, safe repeats
follow   waiting for jobs, event by event
models   what the answers say
errors   what can go wrong
"""

from imagejobs.client.errors import ClientError, Interrupted, Refused, Unreachable, WaitTimedOut
from imagejobs.client.follow import Patience, Wait
from imagejobs.client.http import Backoff, Client, JobQuery
from imagejobs.client.models import (
    FINAL_STATUSES,
    Canceled,
    Event,
    Failure,
    Job,
    JobPage,
    Quote,
    Resolved,
    Retried,
    Submission,
    SubmittedJob,
    UploadedInput,
)

__all__ = [
    "FINAL_STATUSES",
    "Backoff",
    "Canceled",
    "Client",
    "ClientError",
    "Event",
    "Failure",
    "Interrupted",
    "Job",
    "JobPage",
    "JobQuery",
    "Patience",
    "Quote",
    "Refused",
    "Resolved",
    "Retried",
    "Submission",
    "SubmittedJob",
    "Unreachable",
    "UploadedInput",
    "Wait",
    "WaitTimedOut",
]
