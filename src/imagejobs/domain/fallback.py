"""Fallback: the models that a job goes on to, one after another, where a provider cannot make the picture.

It goes on only from a purchase that surely cost nothing, and never over a refusal of what was asked for: another model is no
way around a provider's rules. The models stand in the job's parameters, the first one too; where the job is by now follows
from its provider and model.
"""

from imagejobs.domain.jobs import Job
from imagejobs.errors import Billed, ContentRefused, ImageJobsError, ProviderError


def models_of(job: Job) -> tuple[str, ...]:
    """The models of the job in their order, as `provider:model`; empty where it has no fallback."""
    return tuple(job.params.get("models", ()))


def next_model(job: Job) -> str | None:
    """The model after the one that the job is at; None at the last, and without a fallback."""
    models = models_of(job)
    at = f"{job.provider}:{job.model}"
    following = models[models.index(at) + 1 :] if at in models else models
    return next(iter(following), None)


def may_go_on(verdict: ImageJobsError) -> bool:
    """Whether what became of the purchase allows another one elsewhere."""
    is_elsewhere_possible = isinstance(verdict, ProviderError) and not isinstance(verdict, ContentRefused)
    return is_elsewhere_possible and verdict.billed is Billed.NO
