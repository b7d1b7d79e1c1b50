"""Tokens and their originals: who gets them back, what lies on the disk, keys that change, and time."""

from __future__ import annotations

import json
import os
import select
import signal
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet

from jackline.policy import State
from jackline.request import Agent, Subject
from jackline.testing.policies import Context, request
from jackline_pii import Pii
from jackline_pii.options import PiiOptions
from jackline_pii.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path

MAIL, CARD = "anna.schmidt@example.org", "4111 1111 1111 1111"
AT = 1_780_000_000.0


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    made = Fernet.generate_key().decode()
    monkeypatch.setenv("VAULT_KEY", made)
    return made


def policy(folder: Path, **vault: Any) -> Pii:
    given = {"action": "tokenise", "vault": {"key_env": "VAULT_KEY", "file": str(folder / "vault.db"), **vault}}
    return Pii.build("no-pii", PiiOptions.model_validate(given), Context())  # type: ignore[arg-type]


def answer(made: Pii, action: Any, args: dict[str, Any], resource: str = "", **changes: Any) -> Any:
    return made.evaluate(request(action, resource, args=args, **changes), State())


def test_a_permitted_tool_and_the_final_answer_get_the_original_back(tmp_path: Path, key: str) -> None:
    made = policy(tmp_path, tools=["crm.*"], output=True)
    sent = answer(made, "model.call", {"messages": [{"role": "user", "content": f"I am {MAIL}, {MAIL}"}]})
    assert sent.reason == "tokenised 2 EMAIL"
    content = sent.args["messages"][0]["content"]
    assert MAIL not in content
    token = content.removeprefix("I am ").partition(",")[0]
    assert content == f"I am {token}, {token}", "the same value has the same token"
    call = {"to": token, "note": f"for {token}"}
    given = answer(made, "tool.call", call, "crm.mail")
    assert given.args == {"to": MAIL, "note": f"for {MAIL}"}
    assert (given.effect, given.rule, given.reason) == ("modify", "vault", "gave back 2 originals")
    assert answer(made, "output", {"result": f"Dear {token}"}).args == {"result": f"Dear {MAIL}"}
    assert answer(made, "tool.call", call, "web.post") is None, "another tool gets the token"
    assert answer(policy(tmp_path), "output", {"result": token}) is None
    caller = Agent(name="support", framework="mcp", managed=False)
    assert answer(made, "output", {"result": token}, agent=caller) is None, "it would go to a server"
    assert MAIL not in str(answer(made, "output", {"result": MAIL}, agent=caller).args)


def test_another_session_has_no_use_of_a_token(tmp_path: Path, key: str) -> None:
    made = policy(tmp_path, output=True)
    token = answer(made, "tool.return", {"result": MAIL}).args["result"]
    stranger = Subject(session="77" * 16)
    assert answer(made, "output", {"result": token}, subject=stranger) is None
    assert answer(made, "tool.return", {"result": MAIL}, subject=stranger).args["result"] != token
    assert answer(made, "output", {"result": "[EMAIL:" + "0" * 20 + "]"}) is None


def test_nothing_readable_lies_on_the_disk_and_a_restart_keeps_it(tmp_path: Path, key: str) -> None:
    token = answer(policy(tmp_path), "tool.return", {"result": CARD}).args["result"]
    data = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert token.encode() in data
    assert CARD.encode() not in data
    assert key.encode() not in data
    assert (tmp_path / "vault.db").stat().st_mode & 0o777 == 0o600
    assert answer(policy(tmp_path, output=True), "output", {"result": token}).args == {"result": CARD}


def test_an_original_is_kept_for_its_time_only(tmp_path: Path, key: str) -> None:
    made = policy(tmp_path, output=True, ttl="1h")
    token = answer(made, "tool.return", {"result": MAIL}, at=AT).args["result"]
    assert answer(made, "output", {"result": token}, at=AT + 3599) is not None
    assert answer(made, "output", {"result": token}, at=AT + 3600) is None
    vault = Vault(tmp_path / "vault.db", key)
    vault.keep({"[X:1]": "y"}, "s", AT + 7200, 60)
    assert vault.original("[X:1]", "s", AT + 7200) == "y"
    data = (tmp_path / "vault.db").read_bytes()
    assert token.encode() not in data, "what expired is removed, and overwritten"


def test_keys_rotate(tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    token = answer(policy(tmp_path), "tool.return", {"result": MAIL}, at=AT).args["result"]
    new = Fernet.generate_key().decode()
    monkeypatch.setenv("VAULT_KEY", f"{new},{key}")
    made = policy(tmp_path, output=True)
    assert answer(made, "output", {"result": token}, at=AT).args == {"result": MAIL}
    assert answer(made, "tool.return", {"result": MAIL}, at=AT).args["result"] == token
    assert Vault(tmp_path / "vault.db", f"{new},{key}").rotate() == 0
    monkeypatch.setenv("VAULT_KEY", new)
    assert answer(policy(tmp_path, output=True), "output", {"result": token}, at=AT).args == {"result": MAIL}
    stranger = Fernet.generate_key().decode()
    monkeypatch.setenv("VAULT_KEY", stranger)
    assert answer(policy(tmp_path, output=True), "output", {"result": token}, at=AT) is None
    assert Vault(tmp_path / "vault.db", stranger).rotate() == 1


def test_threads_and_forked_processes_share_a_vault(tmp_path: Path, key: str) -> None:
    vault = Vault(tmp_path / "vault.db", key)
    threads = [
        threading.Thread(target=lambda n=n: vault.keep({f"[X:{n}]": f"value {n}"}, "s", AT, 60)) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, json.dumps([vault.original(f"[X:{n}]", "s", AT) for n in range(8)]).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert json.loads(os.read(read, 4096)) == [f"value {n}" for n in range(8)]
    vault.close()
    assert vault.original("[X:1]", "s", AT) == "value 1"


def test_a_fork_while_a_thread_writes_leaves_the_child_able_to_read(tmp_path: Path, key: str) -> None:
    vault = Vault(tmp_path / "vault.db", key)
    vault.keep({"[X:a]": "y"}, "s", AT, 60)
    done, begun = threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            number += 1
            vault.keep({f"[X:{number}]": "z"}, "s", AT, 60)
            begun.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert begun.wait(30)
        for _ in range(5):
            read, end = os.pipe()
            child = os.fork()
            if not child:
                os.write(end, (vault.original("[X:a]", "s", AT) or "nothing").encode())
                os._exit(0)
            os.close(end)
            poll = select.poll()
            poll.register(read, select.POLLIN)
            ready = poll.poll(30_000)
            if not ready:
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            assert ready, "the child waits for a thread that it does not have"
            assert os.read(read, 100) == b"y"
            os.close(read)
    finally:
        done.set()
        thread.join()


def test_eight_processes_write_at_once(tmp_path: Path, key: str) -> None:
    vault = Vault(tmp_path / "vault.db", key)
    children = []
    for number in range(8):
        child = os.fork()
        if not child:
            given = {vault.token("X", f"{number} {turn}", "s"): f"{number} {turn}" for turn in range(10)}
            for token, value in given.items():
                vault.keep({token: value}, "s", AT, 60)
            os._exit(any(vault.original(token, "s", AT) != value for token, value in given.items()))
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
    for number in range(8):
        assert vault.original(vault.token("X", f"{number} 9", "s"), "s", AT) == f"{number} 9"


def test_who_can_write_the_file_cannot_give_an_original_to_another(tmp_path: Path, key: str) -> None:
    vault = Vault(tmp_path / "vault.db", key)
    vault.keep({"[X:a]": "one", "[X:b]": "two"}, "s", AT, 60)
    with closing(sqlite3.connect(tmp_path / "vault.db")) as file:
        file.execute("UPDATE originals SET session = 'other' WHERE token = '[X:a]'")
        file.execute("UPDATE originals SET expires = 1e12 WHERE token = '[X:b]'")
        file.commit()
        assert vault.original("[X:a]", "other", AT) is None, "moved into another session"
        assert vault.original("[X:b]", "s", AT) == "two"
        assert vault.original("[X:b]", "s", AT + 61) is None, "kept beyond its time"
        file.execute("UPDATE originals SET token = '[X:c]' WHERE token = '[X:b]'")
        file.commit()
        assert vault.original("[X:c]", "s", AT) is None, "named otherwise"
        file.execute("UPDATE originals SET sealed = x'00', token = '[X:b]'")
        file.commit()
    assert vault.original("[X:b]", "s", AT) is None, "not sealed with the key"


def test_what_comes_again_soon_is_not_written_again(tmp_path: Path, key: str) -> None:
    """A conversation brings its values with every turn."""
    vault = Vault(tmp_path / "vault.db", key)
    vault.keep({"[X:a]": "one"}, "s", AT, 100)
    (tmp_path / "vault.db").chmod(0o400)
    before = (tmp_path / "vault.db").read_bytes()
    vault.keep({"[X:a]": "one"}, "s", AT + 9, 100)
    assert (tmp_path / "vault.db").read_bytes() == before
    (tmp_path / "vault.db").chmod(0o600)
    vault.keep({"[X:a]": "one"}, "s", AT + 10, 100)
    assert vault.original("[X:a]", "s", AT + 109) == "one"
    vault.keep({"[X:a]": "one"}, "t", AT + 10, 100)
    assert vault.original("[X:a]", "t", AT + 10) == "one", "another session's is its own"


def test_what_cannot_be_kept_is_not_let_through(tmp_path: Path, key: str) -> None:
    made = policy(tmp_path / "file" / "below")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError) as raised:
        answer(made, "tool.return", {"result": MAIL})
    assert MAIL not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "value", "message"),
    [
        (
            {"action": "tokenise"},
            "",
            "vault: `tokenise` needs vault; write `action: tokenise` and `vault: {key_env: ...}` together, or neither",
        ),
        (
            {"vault": {"key_env": "VAULT_KEY"}},
            "",
            "vault: `redact` uses no vault; write `action: tokenise` and `vault: {key_env: ...}` together, or neither",
        ),
        (
            {"action": "tokenise", "vault": {"key_env": "VAULT_KEY"}},
            "",
            "vault.key_env: the environment variable 'VAULT_KEY' holds no key for the vault; make one: python -c",
        ),
        (
            {"action": "tokenise", "vault": {"key_env": "VAULT_KEY"}},
            "short",
            "vault.key_env: the environment variable 'VAULT_KEY' holds no key for the vault; make one: python -c",
        ),
    ],
)
def test_a_vault_needs_a_key(given: dict[str, Any], value: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_KEY", value)
    with pytest.raises(ValueError) as raised:
        Pii.build("no-pii", PiiOptions.model_validate(given), Context())  # type: ignore[arg-type]
    assert str(raised.value).startswith(message)


def test_a_vault_needs_cryptography(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    found = __import__("importlib.util").util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "cryptography" else found(name))
    with pytest.raises(ValueError) as raised:
        Pii.build("x", PiiOptions.model_validate({"action": "tokenise", "vault": {"key_env": "VAULT_KEY"}}), Context())  # type: ignore[arg-type]
    assert str(raised.value) == "v.a.u.l.t: a vault needs cryptography; pip install 'jackline-pii[vault]'"
