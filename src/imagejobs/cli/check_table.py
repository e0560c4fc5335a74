"""What `checklist` reads from the table of jobs, by the guide's own statements, and whether rows and money agree."""

from collections.abc import AsyncIterator, Sequence

from asyncpg import Record

from imagejobs.app.findings import Finding, fail, ok, warn
from imagejobs.cli.home import Home
from imagejobs.cli.local import located, opened
from imagejobs.db.guide import Statement, answer
from imagejobs.db.verify import BROKEN, broken
from imagejobs.settings import Settings

_INDEXES = {
    f"image_generation_jobs_{name}" for name in ("pkey", "key_idx", "project_idx", "branch_idx", "status_idx", "created_idx")
}


async def table_findings(settings: Settings, job_id: str | None) -> AsyncIterator[Finding]:
    """The guide's statements and the invariants; `job_id` is the newest job, where one was made."""
    if settings.database_url is None and not Home(settings.data_dir).has_database():
        yield warn("table", "not read: the service's database is not known here", "Set DATABASE_URL, and run it again.")
        return
    with located(settings) as found:
        async with opened(found.settings) as database, database.connection() as connection:
            for statement in Statement:
                yield _judged(statement, await answer(connection, statement), job_id)
            if names := await broken(connection):
                yield fail("books", f"broken: {'; '.join(names)}", "`imagejobs verify` shows the rows; report it as a bug.")
            else:
                yield ok("books", f"rows and money agree: {len(BROKEN)} invariants hold")


def _judged(statement: Statement, rows: Sequence[Record], job_id: str | None) -> Finding:
    subject, detail = statement.name.lower().replace("_", " "), f"{len(rows) or 'none'} found"
    match statement:
        case Statement.INDEXES if missing := _INDEXES - {row["indexname"] for row in rows}:
            return fail(subject, f"missing: {', '.join(sorted(missing))}", "Make them again, as db/migrations does.")
        case Statement.LAST_JOBS if job_id and len(rows) < 5 and job_id not in {str(row["id"]) for row in rows}:
            return fail(subject, "the new job is not among them", "See that DATABASE_URL is the one of the service.")
        case Statement.LAST_JOBS:
            detail = ", ".join(row["status"] for row in rows) or detail
        case Statement.LAST_HOUR:
            detail = f"{len(rows)} made, for {sum(row['cost_credits'] or 0 for row in rows):.4f} credits"
        case Statement.WAITING if rows:
            return warn(subject, detail, "See the workers above; `imagejobs jobs ls --status queued` lists them.")
        case Statement.FAILED_UPLOADS if rows:
            return warn(
                subject, detail, f"The pictures are kept: `imagejobs jobs retry {rows[0]['id']}` is free, and so on."
            )
    return ok(subject, detail)
