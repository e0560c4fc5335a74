"""What to do about a failed job, by the reason of its failure."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from uuid import UUID

from imagejobs.client import Job

_RETRY = "`imagejobs jobs retry {id}`"
_STORED = f"the picture is paid for and kept, so {_RETRY} is free and only stores it."
_CHANGE = "Change the request as it says above, then make a new job; the same one would fail again."
_NO_PICTURE = (
    "The provider answered with something that is no picture, and it was charged. Check IMAGEJOBS_{provider}_BASE_URL; "
    f"{_RETRY} buys again."
)
_SOON = f"Nothing needs to be changed: {_RETRY} in a while."
_UNKNOWN = (
    "Look at the provider's own usage page whether it was charged, then `imagejobs jobs resolve {id} --billed` or "
    f"`--not-billed`; or {_RETRY}, which may buy again."
)
_SETTLED = f"Whether it was charged is settled; {_RETRY} asks the provider again, which buys again."
_GENERIC = f"The server's log says more. Once the cause is gone: {_RETRY}; a picture that is kept is not bought again."

_BY_REASON: Mapping[str, str] = MappingProxyType(
    {
        "storage_unavailable": f"Let the storage answer again, or make room in it; {_STORED}",
        "storage_rejected": f"Let the storage take it, as it says above; {_STORED}",
        "storage_key_rejected": f"Correct the storage's credentials (the operator's); {_STORED}",
        "outcome_unknown": _SETTLED,
        "provider_unreachable": f"Check the provider's address and the network; once it can be reached: {_RETRY}.",
        "provider_credit_exhausted": f"Add credit with the provider, then {_RETRY}.",
        "provider_key_rejected": f"Correct the provider's key on the service (the operator's), then {_RETRY}.",
        "no_provider_configured": (
            f"Set IMAGEJOBS_DEFAULT_PROVIDER=sketch, or another, on the service, start it again, then {_RETRY}."
        ),
        "not_an_image": _NO_PICTURE,
        "image_corrupt": f"It was charged. {_RETRY} buys another one; if that is broken too, tell the provider.",
        "answer_unusable": _NO_PICTURE,
        "no_image_returned": f"The provider charged, but sent no picture. Change the prompt, or {_RETRY}, which buys again.",
        "image_too_large": (
            "It was charged, and is kept, but is larger than may be decoded. Raise IMAGEJOBS_MAX_PICTURE_PIXELS for API and "
            f"workers, then {_RETRY}: free if it can be decoded then, else it buys again. Or make a job for a smaller one."
        ),
        "content_refused": _CHANGE,
        "provider_rejected": _CHANGE,
        "model_unavailable": "Change the request: name another model with --model in a new job.",
        "budget_exhausted": (f"Raise the budget with `imagejobs budgets set`, or wait for its next period, then {_RETRY}."),
        "deadline_exceeded": f"{_RETRY} gives it its time anew; a picture that is kept is not bought again.",
        "poison": f"The workers' log says what ended them. Once that is mended: {_RETRY}.",
    }
)
_BY_CODE: Mapping[str, str] = MappingProxyType({"TEMPORARY": _SOON, "RATE_LIMIT": _SOON, "PERMANENT": _CHANGE})


def next_step(job: Job) -> str:
    """The next step after the job's failure, with the command for it; empty where it did not fail."""
    failure = job.failure
    if failure is None:
        return ""
    known = _BY_REASON.get(failure.reason) or _BY_CODE.get(failure.code, _GENERIC)
    text = _UNKNOWN if failure.billed == "unknown" else known
    return text.format(id=job.id, provider=(job.provider or "<PROVIDER>").upper())


def free_retries(jobs: Sequence[UUID]) -> str:
    """Which jobs a retry stores without buying, the first few by name; empty where there is none."""
    more = f" and {len(jobs) - 3} more" if len(jobs) > 3 else ""
    return f"`imagejobs jobs retry ID`: a retry is free for {', '.join(map(str, jobs[:3]))}{more}." if jobs else ""
