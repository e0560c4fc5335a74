"""What the embedded server refuses before any process starts, and that each refusal names a way out."""

import json
import os
from pathlib import Path

import pytest

from imagejobs.embedded import programs, start
from imagejobs.errors import ConfigurationError


def refused(data_dir: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        start(data_dir, system_dir=data_dir.parent / "system")
    assert "DATABASE_URL" in caught.value.detail
    return caught.value.detail


def keep(data_dir: Path, **record: object) -> None:
    (data_dir / "postgresql.json").write_text(json.dumps({"password": "x", "cluster_id": None} | record))


def test_files_of_another_major_version_are_left_alone(tmp_path: Path) -> None:
    keep(tmp_path, created=True)
    (tmp_path / "postgresql").mkdir()
    (tmp_path / "postgresql" / "PG_VERSION").write_text("16\n")
    detail = refused(tmp_path)
    assert "PostgreSQL 16" in detail
    assert " 18." in detail


def test_lost_files_are_not_replaced_by_an_empty_database(tmp_path: Path) -> None:
    keep(tmp_path, created=True)
    assert "are gone" in refused(tmp_path)
    assert not (tmp_path / "postgresql").exists()


def test_a_lost_password_is_not_replaced_by_another(tmp_path: Path) -> None:
    (tmp_path / "postgresql").mkdir()
    assert "Restore it" in refused(tmp_path)
    assert not (tmp_path / "postgresql.json").exists()


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"password": "x", "cluster_id": "../../etc"}'])
def test_a_damaged_record_is_refused(tmp_path: Path, damage: str) -> None:
    (tmp_path / "postgresql.json").write_text(damage)
    assert "is damaged" in refused(tmp_path)


def test_a_platform_without_the_wheel_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "PACKAGE", "no_such_package_of_postgresql")
    assert "not installed" in refused(tmp_path)


def test_a_data_directory_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in refused(tmp_path / "file" / "data")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs programs from a system directory")
def test_root_runs_nothing_from_a_directory_that_others_may_write_to(tmp_path: Path) -> None:
    (tmp_path / "system").mkdir()
    (tmp_path / "system").chmod(0o777)
    assert "writable by root only" in refused(tmp_path / "data")
