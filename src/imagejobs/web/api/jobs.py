"""The routes of jobs: make, read, list, follow."""

import hashlib
import json
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from imagejobs.app.cancel import cancel_job
from imagejobs.app.corrections import resolve_outcome, set_priority
from imagejobs.app.follow import await_job, begin_following
from imagejobs.app.query import JobView, job_events, list_jobs
from imagejobs.app.retry import retry_job
from imagejobs.app.submit import submit
from imagejobs.domain.lifecycle import FINAL
from imagejobs.domain.money import to_credits
from imagejobs.errors import MalformedRequest, NotFound
from imagejobs.web.api import answers, cursors
from imagejobs.web.api.answers import JobBody, RetryAnswer, job_json
from imagejobs.web.api.requests import MAX_KEY, ChangeBody, GenerateBody, ListQuery, ResolveBody, RetryBody, reads
from imagejobs.web.api.streams import MEDIA_TYPE, event_json, last_seen, stream_of, wants_stream
from imagejobs.web.auth import Asker, WiredDeps, asking_again

router = APIRouter(prefix="/api/images", tags=["jobs"])

_LONGEST_WAIT_SECONDS = 60
_WAITING = reads(Prefer="`wait=30`: answer when the job is finished, after so many seconds at the latest.")
_ANY_FAILURE = RetryBody()


@router.post(
    "/generate",
    status_code=202,
    response_model=answers.GenerateAnswer,
    responses={200: {"model": answers.GenerateAnswer, "description": "The key named this job before."}, 402: {}},
    openapi_extra=reads(Idempotency_Key="As the member `idempotencyKey`; both and different is refused with 400."),
    summary="Make a picture",
)
async def generate(request: Request, body: GenerateBody, deps: WiredDeps, caller: Asker) -> Response:
    """Write the job and answer at once; follow it at `Location`.

    With an idempotency key, in the body or in the header `Idempotency-Key`, a repeat finds the same job.
    """
    key = _idempotency_key(request, body.idempotency_key)
    submission = await submit(deps, caller, body.request(deps.policy.micros_per_credit), key)
    return _accepted(submission.jobs[0].id, answers.submission_json(submission), is_replay=submission.is_replay)


def _accepted(job_id: UUID, document: dict[str, Any], *, is_replay: bool) -> Response:
    headers = {"location": f"/api/images/jobs/{job_id}"}
    if is_replay:
        headers["idempotent-replayed"] = "true"
    return JSONResponse(document, 200 if is_replay else 202, headers)


def _idempotency_key(request: Request, from_body: str | None) -> str | None:
    found = request.headers.getlist("idempotency-key")
    if len(found) > 1:
        raise MalformedRequest("The header Idempotency-Key was sent more than once; send it once.")
    if not found:
        return from_body
    key = found[0].strip()
    if not 1 <= len(key) <= MAX_KEY or not key.isprintable():
        raise MalformedRequest(f"The header Idempotency-Key must have 1 to {MAX_KEY} printable characters.")
    if from_body is not None and from_body != key:
        raise MalformedRequest("The header Idempotency-Key and the member idempotencyKey differ; send one, or both alike.")
    return key


@router.get("/jobs/{job_id}", response_model=JobBody, responses={304: {}}, openapi_extra=_WAITING, summary="Read a job")
async def read_job(job_id: str, request: Request, deps: WiredDeps, caller: Asker) -> Response:
    """The job as it stands; with `If-None-Match` a 304 while nothing changed.

    With `Prefer: wait=30` the answer waits until the job is finished, or with `If-None-Match` until it changed: so many
    seconds, 60 at most.
    """
    seconds = _preferred_wait(request)

    def is_enough(view: JobView) -> bool:
        changed = _rendered(job_json(view))[1] not in request.headers.get("if-none-match", "")
        return changed if "if-none-match" in request.headers else view.job.status in FINAL

    view = await await_job(deps, caller, asking_again(request), _parsed(job_id), seconds, is_enough)
    answer = _fresh(request, job_json(view))
    if seconds:
        answer.headers["preference-applied"] = f"wait={seconds}"
    return answer


def _preferred_wait(request: Request) -> int:
    """The seconds of `Prefer: wait=…` (RFC 7240), 0 without; what cannot be read is no preference."""
    for preference in ",".join(request.headers.getlist("prefer")).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        seconds = value.strip().strip('"')
        if name.strip().lower() == "wait" and seconds.isascii() and seconds.isdigit():
            return min(int(seconds[:6]), _LONGEST_WAIT_SECONDS)
    return 0


@router.get("/jobs", response_model=answers.JobList, responses={304: {}}, summary="List jobs")
async def read_jobs(request: Request, query: Annotated[ListQuery, Query()], deps: WiredDeps, caller: Asker) -> Response:
    """The caller's jobs, newest first, narrowed by the filters given."""
    before = None if query.cursor is None else cursors.decode(query.cursor)
    page = await list_jobs(deps, caller, query.filters(), before, query.limit)
    body = {
        "jobs": [job_json(view) for view in page.views],
        "nextCursor": None if page.next_before is None else cursors.encode(page.next_before),
    }
    return _fresh(request, body)


@router.get(
    "/jobs/{job_id}/events",
    response_model=answers.EventList,
    responses={200: {"content": {MEDIA_TYPE: {}}}, 204: {"description": "No further event can come."}, 304: {}},
    openapi_extra=reads(Last_Event_ID="Behind which a stream begins.", last_event_id="The same; the header wins."),
    summary="What happened to a job",
)
async def read_events(
    job_id: str,
    request: Request,
    deps: WiredDeps,
    caller: Asker,
    after: Annotated[int, Query(ge=0, le=2**62, description="Only events after this `seq`.")] = 0,
) -> Response:
    """Every change of the job, in order, without a gap.

    With `Accept: text/event-stream` as server-sent events while they come, to the job's end: those behind `Last-Event-ID`,
    or `?last_event_id=`. A stream ends after ten minutes at the latest; come back with the last id.
    """
    if wants_stream(request):
        seen = max(last_seen(request), after)
        return stream_of(request, deps, caller, await begin_following(deps, caller, _parsed(job_id), seen), seen)
    events = await job_events(deps, caller, _parsed(job_id), after)
    return _fresh(request, {"events": [event_json(event) for event in events]})


@router.post(
    "/jobs/{job_id}/retry",
    status_code=202,
    response_model=RetryAnswer,
    responses={
        200: {"model": RetryAnswer, "description": "The failure that was seen has been retried before."},
        402: {},
        409: {},
    },
    summary="Retry a failed job",
)
async def retry(job_id: str, deps: WiredDeps, caller: Asker, body: RetryBody = _ANY_FAILURE) -> Response:
    """Queue a failed job again under its id, and say what it will cost: nothing where the picture only has to be stored.

    With the `retryCount` that was seen, a repeat after a lost answer, a double click, and whoever else saw the same failure
    make one retry, and get the same answer. Without, a job that is not failed any more answers 409.
    """
    retried = await retry_job(deps, caller, _parsed(job_id), body.retry_count)
    return _accepted(retried.job.id, answers.retry_json(retried, deps.policy.micros_per_credit), is_replay=retried.is_replay)


@router.post("/jobs/{job_id}/cancel", response_model=answers.CancelAnswer, responses={409: {}}, summary="Cancel a job")
async def cancel(job_id: str, deps: WiredDeps, caller: Asker) -> Response:
    """Stop the job, at once or as soon as its provider can; the receipt says what it may cost, also on a repeat."""
    receipt = await cancel_job(deps, caller, _parsed(job_id))
    return JSONResponse(answers.cancel_json(receipt, deps.policy.micros_per_credit))


@router.patch("/jobs/{job_id}", response_model=JobBody, responses={409: {}}, summary="Change the priority of a queued job")
async def change(job_id: str, body: ChangeBody, request: Request, deps: WiredDeps, caller: Asker) -> Response:
    """Move the job within the queue: higher goes first. 409 once a worker has it."""
    return _fresh(request, job_json(await set_priority(deps, caller, _parsed(job_id), body.priority)))


@router.post(
    "/jobs/{job_id}/resolve",
    response_model=answers.ResolveAnswer,
    responses={409: {}},
    summary="Say whether an unknown outcome was billed",
)
async def resolve(job_id: str, body: ResolveBody, deps: WiredDeps, caller: Asker) -> Response:
    """Settle the job's unknown spend by a person's word: posted, or released."""
    micros = await resolve_outcome(deps, caller, _parsed(job_id), billed=body.billed)
    posted = float(to_credits(micros, deps.policy.micros_per_credit))
    return JSONResponse({"jobId": job_id, "posted": posted})


def _parsed(job_id: str) -> UUID:
    try:
        return UUID(job_id)
    except ValueError as error:
        raise NotFound("There is no such job.") from error


def _rendered(document: dict[str, Any]) -> tuple[bytes, str]:
    """The document and its tag."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def _fresh(request: Request, document: dict[str, Any]) -> Response:
    """The document, or 304 where the caller has it already."""
    body, etag = _rendered(document)
    headers = {"cache-control": "private, no-cache", "etag": etag}
    if request.method == "GET" and etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")
