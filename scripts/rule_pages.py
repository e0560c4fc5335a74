"""The pages of `write_reference.py` that show the domain's tables: states, prompts, access."""

from collections.abc import Sequence

from imagejobs.domain.access import Operation, Role
from imagejobs.domain.jobs import JobStatus, JobType
from imagejobs.domain.lifecycle import FINAL, TRANSITIONS
from imagejobs.domain.prompts import ASSET_SHAPES, JOB_WORDS, asset_shape


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


# States

_MEANINGS = {
    JobStatus.QUEUED: "accepted; waits for a worker, or for its next try where `scheduledAt` is set",
    JobStatus.PROCESSING: "a worker has it and prepares the call",
    JobStatus.GENERATING: "the purchase is committed; the provider is asked",
    JobStatus.UPLOADING: "the picture is bought and kept; it goes to the storage",
    JobStatus.COMPLETED: "the picture is public",
    JobStatus.FAILED: "it ended without a picture; [`error`](errors.md) says why and what it cost",
    JobStatus.CANCELED: "it was stopped on request; nothing more is bought for it",
}


def states_page() -> str:
    """The transition table as a diagram and as a table."""
    edges = [f"    {source} --> {target}\n" for source in JobStatus for target in JobStatus if target in TRANSITIONS[source]]
    ends = [f"    {status} --> [*]\n" for status in JobStatus if status in FINAL]
    rows = [
        [
            f"`{status}`",
            _MEANINGS[status],
            ", ".join(f"`{target}`" for target in JobStatus if target in TRANSITIONS[status]) or "none",
            "yes" if status in FINAL else "",
        ]
        for status in JobStatus
    ]
    return "".join(
        [
            "# States of a job\n\n",
            "Nothing else is possible: two statements change a status, the claim (`queued → processing`) and the move\n",
            "(`db/jobs.py`), and the move checks this table.\n\n",
            "```mermaid\nstateDiagram-v2\n    [*] --> queued\n",
            *edges,
            *ends,
            "```\n\n",
            table(["status", "meaning", "may become", "final"], rows),
            "\nA final state never changes by itself. `failed → queued` is a retry asked for by a person; the job\n",
            "keeps its id. `canceled → queued` is the same, only for a job whose paid picture came after its end.\n",
            "`processing → uploading` is a job whose picture was bought by an earlier run. A running state\n",
            "goes back to `queued` for an automatic retry.\n",
        ]
    )


# Prompts


def prompts_page() -> str:
    """What is added to a prompt, by type of job and of asset."""
    jobs = [[f"`{one}`", JOB_WORDS.get(one, "nothing")] for one in JobType]
    assets = [[f"`{name}`", shape.words, f"{shape.width} x {shape.height}"] for name, shape in ASSET_SHAPES.items()]
    about = ", ".join(f"`{one}`" for one in JobType if asset_shape(one, next(iter(ASSET_SHAPES))))
    return "".join(
        [
            "# Prompts\n\nA provider gets the caller's prompt, untouched, and below it what the request implies, in this\n",
            "order: the words of the type of job, those of the type of asset, the region to change (`maskDescription`),\n",
            "the [style](../how-to/styles.md), the tone (`manualVisualTone`), and what each input picture is for. A job\n",
            "shows the whole as `composedPrompt`, a quote as `prompt`. `negativePrompt` stays apart.\n\n",
            "## By type of job\n\n",
            table(["jobType", "what is added"], jobs),
            "\nFor `generate` and `edit`, what is given explicitly is said all the same: style, tone and region; and what\n",
            "each picture is for, as soon as one reference has the role `style`.\n\n## By type of asset\n\n",
            f"`assetType` in any case, for {about}.\n",
            "Other types are yours and add nothing. The size is that of a request with neither `width` nor `height`;\n",
            "without such a type it is 512 x 512.\n\n",
            table(["assetType", "what is added", "size"], assets),
        ]
    )


# Access


def access_page() -> str:
    """Roles and scopes by operation."""
    roles = list(Role)
    rows = []
    for operation in Operation:
        allowed = ["yes" if roles.index(role) >= roles.index(operation.role) else "" for role in roles]
        rows.append([operation.words, *allowed, f"`{operation.scope}`"])
    return "".join(
        [
            "# Who may do what\n\n",
            "A **user** ([Supabase](../how-to/supabase-users.md)) has a role in each project they belong to. An **API\n",
            "key** has scopes, which hold in the projects it is bound to, or in all; `admin` includes every scope.\n\n",
            table(["in a project", *(role.value for role in roles), "scope of a key"], rows),
            "\nA project that is not the caller's looks exactly like one that does not exist: 404, or an empty list.\n",
            "What the role or the scope does not allow is 403. Nobody changes their own role. A bound key never makes a\n",
            "project, and a user only one that the [ownership query](../how-to/supabase-users.md#whose-a-project-is)\n",
            "says is theirs; a key with `projects:create` makes it by its first picture, input or style.\n",
        ]
    )
