"""Object keys: where a picture lives in the storage (C3)."""

import hashlib
import re
from uuid import UUID

from imagejobs.domain.jobs import Job, JobType

_PLAIN = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,100}")
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


def safe_segment(identifier: str) -> str:
    """`identifier` as one path segment: as it stands where harmless, else `x-` and a hash prefix."""
    if _PLAIN.fullmatch(identifier):
        return identifier
    return "x-" + hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def object_key(job: Job, attempt_id: UUID, nonce: str, media_type: str) -> str:
    """The path of the picture that `attempt_id` bought, equal each time it is asked for.

    `nonce` is stored with the attempt and carries the 96 random bits that make the address unguessable.
    """
    folder, stem = _place(job)
    extension = _EXTENSIONS.get(media_type, "bin")
    root = f"project_{safe_segment(job.project_id)}/branch_{safe_segment(job.branch_id)}"
    return f"{root}/{folder}/{stem}{attempt_id.hex}_{nonce}.{extension}"


def _place(job: Job) -> tuple[str, str]:
    """Folder below the branch, and the beginning of the file name."""
    asset = f"{safe_segment(job.asset_id)}_" if job.asset_id else ""
    scene = f"scene_{safe_segment(job.scene_id)}" if job.scene_id else None
    match job.job_type:
        case JobType.MASTER_ASSET if asset:
            return "master-assets", asset
        case JobType.START_FRAME | JobType.END_FRAME if scene and job.shot_id:
            return f"{scene}/shot_{safe_segment(job.shot_id)}", f"{job.job_type.value}_"
        case JobType.SCENE_ASSET if scene and asset:
            return f"{scene}/scene-assets", asset
        case JobType.ANGLE_VARIANT:
            return "master-assets/angles", asset
        case JobType.TRANSFORMATION_POST:
            return "transformations", asset
        case _:
            return "misc", asset


def thumbnail_key(key: str) -> str:
    """Where the small picture of `key` lives."""
    return f"{key}.thumb.webp"
