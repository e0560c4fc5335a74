"""Pictures from outside, judged before anything is done with them; and the errors that say why one is refused."""

import hashlib
from collections.abc import Mapping

from imagejobs.app.deps import Deps
from imagejobs.db import inputs
from imagejobs.domain.inputs import KeptInput
from imagejobs.domain.jobs import PictureFacts
from imagejobs.errors import AnswerUnusable, ImageCorrupt, ImageTooLarge, InputsFull, NotAnImage, UnusablePicture
from imagejobs.ports import Transaction

_NEXT_STEPS: Mapping[type[AnswerUnusable], str] = {
    NotAnImage: "send one of the three formats",
    ImageCorrupt: "send a whole one",
    ImageTooLarge: "send a smaller one",
}
_PADDING = b"\0\t\n\r "
_JPEG_START = b"\xff\xd8\xff"


async def judged(deps: Deps, data: bytes, *, is_ours: bool = False) -> tuple[PictureFacts, bytes]:
    """What the picture is, and its own bytes, which tell nothing but what it shows; raises `UnusablePicture`.

    Bytes behind a picture's end make a file that is two things at once and are refused. Cut off instead: padding, and the
    further pictures that telephones put behind a JPEG. A picture of an earlier job (`is_ours`) keeps its marks of
    provenance; whatever follows its end is cut off.
    """
    try:
        facts, own, end = await deps.decoder.clean(data)
    except AnswerUnusable as error:
        step = _NEXT_STEPS.get(type(error), "send another one")
        raise UnusablePicture(f"{error.detail.partition(';')[0]}; {step}.") from error
    rest = data[end:]
    if not is_ours and rest.strip(_PADDING) and not rest.startswith(_JPEG_START):
        raise UnusablePicture(
            f"{len(rest)} bytes that are no part of the picture follow its end; save it anew and send that."
        )
    own = data[:end] if is_ours else own
    return PictureFacts(sha256=hashlib.sha256(own).digest(), size_bytes=len(own), **vars(facts)), own


async def keep_picture(deps: Deps, tx: Transaction, new: inputs.NewInput) -> KeptInput:
    """Keep the picture; raises `InputsFull` where the project has no room for it. Racers for the last room may share it."""
    limit = deps.policy.input_bytes_per_project
    if limit and await inputs.bytes_with(tx, new) > limit:
        raise InputsFull(
            f"The project keeps at most {limit} bytes of input pictures, and this one is too much; name such as are there, "
            f"wait until some expire ({deps.policy.input_days} days after their upload), or have the limit raised."
        )
    return await inputs.keep(tx, new)
