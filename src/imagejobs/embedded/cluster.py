"""The database files: made whole or not at all, and the record of how to reach them.

A data directory holds `postgresql.json` (the record, mode 0600), `postgresql.log`, and the files themselves, `postgresql/`.
Only where we are root and the data directory is closed to the user who runs PostgreSQL do the files stand apart, in
`<system_dir>/clusters/<id>/`; the record then keeps the id.
"""

import json
import os
import re
import secrets
import shutil
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from imagejobs.embedded.files import Lock, rename_durably, write_private
from imagejobs.embedded.programs import Account, Programs, ensure_root_directory, refusal

USER = "imagejobs"
DATABASE = "imagejobs"

# What `--set` names lands in postgresql.conf, where the operator may change it. The collation is PostgreSQL's own (builtin),
# so an upgrade of the system's libraries cannot corrupt an index.
INITDB = (
    "initdb",
    f"--username={USER}",
    "--auth-local=scram-sha-256",
    "--auth-host=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--data-checksums",
    "--no-instructions",
    "--set=max_connections=200",
    "--set=timezone=UTC",
    "--set=log_timezone=UTC",
    "--set=log_checkpoints=off",
)
SINGLE_USER = ("postgres", "--single", "-c", "exit_on_error=on", "postgres")


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is remembered between starts; without `created`, the files are absent or unfinished."""

    password: str = field(repr=False)
    cluster_id: str | None
    created: bool = False
    port: int | None = None

    def __post_init__(self) -> None:
        if self.cluster_id is not None and not re.fullmatch("[0-9a-f]{32}", self.cluster_id):
            raise ValueError("cluster_id")  # it becomes part of a path


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The database files at `path`, and the programs that may touch them."""

    path: Path
    programs: Programs
    record: Record
    record_path: Path

    @classmethod
    def locate(cls, data_dir: Path, system_dir: Path) -> Self:
        """Find the database of `data_dir`, or decide where its files will be; the decision is kept."""
        path, record_path = data_dir / "postgresql", data_dir / "postgresql.json"
        programs = Programs.find(data_dir / "postgresql.log")
        try:
            record = Record(**json.loads(record_path.read_text())) if record_path.exists() else None
        except (ValueError, TypeError) as error:
            raise refusal(f"{record_path}, which keeps the password, is damaged. Restore it.") from error
        if record is None and path.exists():
            raise refusal(f"{path} is there, but {record_path}, which keeps its password, is not. Restore it.")
        account = Account.for_files(path)
        if record is None:
            apart = account is not None and not account.can_enter(data_dir)
            record = Record(password=secrets.token_urlsafe(32), cluster_id=secrets.token_hex(16) if apart else None)
        if record.cluster_id is not None:
            ensure_root_directory(system_dir, 0o755)
            ensure_root_directory(system_dir / "clusters", 0o711)
            path = system_dir / "clusters" / record.cluster_id
            account = Account.for_files(path)
        programs = programs.usable_by(account, system_dir)
        return cls(path=path, programs=programs, record=record, record_path=record_path)

    def remember(self, record: Record) -> Self:
        """Keep the record, durably."""
        write_private(self.record_path, json.dumps(asdict(record)))
        return replace(self, record=record)

    def lock(self, purpose: str) -> Lock:
        """One of the cluster's locks. They lie beside the files, so that all who reach the files meet there."""
        return Lock(self.path.with_name(f"{self.path.name}.{purpose}"))

    def run(self, *command: str, inherit: Lock, stdin: bytes = b"") -> bool:
        """Run one of PostgreSQL's programs on the files; it and what it leaves running keep `inherit` locked."""
        return self.programs.run(command, files=self.path, inherit=[inherit.fileno()], stdin=stdin)

    def ensure_created(self, lock: Lock) -> Self:
        """Make the files unless they are there; refuse those of another major version.

        The caller has `lock`: no process of PostgreSQL lives on the files. A crash leaves a `.new` for the next to replace.
        """
        if not self.path.exists():
            if self.record.created:
                raise refusal(
                    f"the database files in {self.path} are gone. Restore them, or delete {self.record_path} to begin anew."
                )
            self.remember(self.record)  # before the files, else nobody would know their password
            self._create(lock)
        version = (self.path / "PG_VERSION").read_text().strip()
        if version != self.programs.version.partition(".")[0]:
            raise refusal(
                f"the database files in {self.path} were made by PostgreSQL {version}, this installation brings "
                f"{self.programs.version}. Dump them with the release that made them, restore into a new data directory."
            )
        return self if self.record.created else self.remember(replace(self.record, created=True))

    def _create(self, lock: Lock) -> None:
        draft = replace(self, path=self.path.with_name(f"{self.path.name}.new"))
        if draft.path.exists():
            shutil.rmtree(draft.path)
        draft.path.mkdir(mode=0o700)
        with tempfile.TemporaryFile(dir=self.record_path.parent) as password:  # it has no name, so it cannot be left behind
            password.write(self.record.password.encode())
            password.seek(0)
            account = self.programs.account
            if account is not None:
                os.chown(draft.path, account.uid, account.gid, follow_symlinks=False)
                os.chown(password.fileno(), account.uid, account.gid)
            command = (*INITDB, f"--pwfile=/dev/fd/{password.fileno()}")
            made = self.programs.run(command, files=draft.path, inherit=[lock.fileno(), password.fileno()])
        if not made or not draft.run(*SINGLE_USER, inherit=lock, stdin=f"CREATE DATABASE {DATABASE};\n".encode()):
            raise refusal(f"the database files in {self.path} could not be made.", self.programs.log)
        rename_durably(draft.path, self.path)
