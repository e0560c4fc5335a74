"""The Python client of the web API. It knows the API only: nothing of the server is imported here.

http     Client: one method per route, safe repeats
follow   waiting for jobs, event by event
models   what the answers say
errors   what can go wrong
"""

from imagejobs.client.errors import (
    ClientError as ClientError,
    Interrupted as Interrupted,
    Refused as Refused,
    Unreachable as Unreachable,
    WaitTimedOut as WaitTimedOut,
)
from imagejobs.client.follow import Patience as Patience, Wait as Wait
from imagejobs.client.http import Backoff as Backoff, Client as Client, JobQuery as JobQuery
from imagejobs.client.models import (
    FINAL_STATUSES as FINAL_STATUSES,
    Canceled as Canceled,
    Event as Event,
    Failure as Failure,
    Job as Job,
    JobPage as JobPage,
    Quote as Quote,
    Resolved as Resolved,
    Retried as Retried,
    Submission as Submission,
    SubmittedJob as SubmittedJob,
    UploadedInput as UploadedInput,
)
