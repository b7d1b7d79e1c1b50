"""Whether the process behind a journal is still there."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time

import pytest

from jackline.journal import liveness
from jackline.journal.liveness import boot_id, writer_lives

HOST = platform.node()


def test_this_process_lives():
    assert writer_lives(os.getpid(), HOST, boot_id(), time.time()) is True


def test_a_process_that_ended_does_not():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert writer_lives(child.pid, HOST, boot_id(), time.time()) is False


def test_of_another_host_nothing_is_known():
    assert writer_lives(os.getpid(), "elsewhere", boot_id(), time.time()) is None


def test_after_a_restart_of_the_machine_nobody_lives():
    assert writer_lives(os.getpid(), HOST, "another-boot", time.time()) is False


@pytest.mark.parametrize("pid", [0, -1])
def test_what_is_no_process_id_is_nobody(pid):
    assert writer_lives(pid, HOST, boot_id(), time.time()) is False


@pytest.mark.skipif(
    not liveness._PROC.joinpath("self/stat").exists(), reason="the system does not say when a process began"
)
def test_a_process_id_that_was_used_again_is_another_process():
    assert writer_lives(os.getpid(), HOST, boot_id(), time.time() - 1e6) is False


def test_a_process_of_another_user_is_there(monkeypatch):
    def refuse(pid, number):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert writer_lives(os.getpid(), HOST, boot_id(), time.time()) is True


def test_a_system_that_does_not_say_is_believed(monkeypatch, tmp_path):
    monkeypatch.setattr(liveness, "_PROC", tmp_path)
    assert writer_lives(os.getpid(), HOST, boot_id(), 0.0) is True
    monkeypatch.setattr(liveness, "_BOOT", tmp_path / "none")
    assert boot_id() == ""
