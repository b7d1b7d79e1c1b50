"""`agents discover`: what was seen and nobody registered, with real processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from jackline.cli import shadow_processes
from jackline.cli.shadow_processes import look
from jackline.cli.shadow_requests import provider_of, requests_to_providers
from jackline.home import Home
from jackline.opening import open_registry
from jackline.request import Agent, Tool

PATIENCE = 30.0
WAIT = "print('ready', flush=True)\nimport sys\nsys.stdin.read()\n"


@pytest.fixture
def environment(tmp_path):
    """A virtual environment with frameworks that are empty folders."""
    packages = tmp_path / "agents" / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    for name in ("crewai", "openai", "jiter"):
        (packages / name).mkdir(parents=True)
        (packages / name / "__init__.py").touch()
    (tmp_path / "agents" / "bin").mkdir()
    (tmp_path / "agents" / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    home = Path(sysconfig.get_config_var("BINDIR"))
    (tmp_path / "agents" / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    return tmp_path / "agents"


@pytest.fixture
def start(tmp_path):
    """Start programs that say that they are ready and wait; they are ended after the test."""
    started = []

    def begin(python, text, *words):
        script = tmp_path / f"agent{len(started)}.py"
        script.write_text(text + WAIT, encoding="utf-8")
        command = [str(python), *(words or (str(script),))]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
        started.append(child)
        assert child.stdout.readline() == "ready\n"
        return child

    yield begin
    for child in started:
        child.communicate(timeout=PATIENCE)


def row(looked, child):
    return next((one for one in looked.found if one.pid == child.pid), None)


needs_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="this system has no /proc")


@needs_proc
def test_a_script_that_imports_a_framework(environment, start):
    child = start(environment / "bin" / "python", "def later():\n    from crewai import Agent\n")
    found = row(look(), child)
    assert (found.frameworks, found.how, Path(found.program).name) == (("crewai",), "imported", "agent0.py")


def compiled(environment):
    """The text of a program that maps a compiled module of `jiter`."""
    library = next(environment.glob("lib/*/site-packages/jiter")) / "jiter.so"
    shutil.copy(next(Path(sysconfig.get_path("platlib")).glob("msgspec/_core*.so")), library)
    return f"import ctypes, os\nctypes.CDLL({str(library)!r}, os.RTLD_LAZY)\n"


@needs_proc
def test_a_library_that_only_a_framework_uses(environment, start):
    """A module of Python text leaves no trace in the process; a compiled one that it needs is mapped."""
    child = start(environment / "bin" / "python", compiled(environment))
    found = row(look(), child)
    assert (found.frameworks, found.how) == (("openai",), "loaded")


@needs_proc
def test_what_is_imported_is_told_beside_what_a_library_shows(environment, start, ask):
    """Else only the adapter of what happens to bring a compiled library would be named."""
    child = start(environment / "bin" / "python", f"import crewai\n{compiled(environment)}")
    found = row(look(), child)
    assert (found.frameworks, found.how, found.loaded) == (("crewai", "openai"), "loaded", ("openai",))
    (told,) = [one for one in ask("agents", "discover")["found"] if one["name"] == f"{child.pid} {found.program}"]
    assert told["how"] == "has loaded openai and imports crewai"
    assert told["governs"] == "jackline.init() in its process (pip install jackline-crewai)"


@needs_proc
def test_our_own_command_is_no_agent(environment, start, tmp_path):
    (tmp_path / "jackline").write_text(WAIT)
    child = start(environment / "bin" / "python", "", str(tmp_path / "jackline"))
    assert row(look(), child) is None
    (tmp_path / "jackline").write_text(f"import crewai\n{WAIT}")
    child = start(environment / "bin" / "python", "", str(tmp_path / "jackline"))
    assert row(look(), child).how == "imported"


@needs_proc
def test_a_module_and_a_command(environment, start):
    python = environment / "bin" / "python"
    (next(environment.glob("lib/*/site-packages/crewai")) / "__main__.py").write_text(WAIT, encoding="utf-8")
    module = start(python, "", "-I", "-m", "crewai", "run", "--key", "sk-secret")
    command = start(python, "", "-c", f"import openai\n{WAIT}")
    looked = look()
    assert row(looked, module)[1:4] == ("-m crewai", ("crewai",), "imported")
    assert row(looked, command)[1:4] == ("-c", ("openai",), "imported")


@needs_proc
def test_what_is_only_installed_is_called_so(environment, start):
    child = start(environment / "bin" / "python", "x = 'import langchain'\n")
    assert row(look(), child)[2:4] == (("crewai", "openai"), "installed")


@needs_proc
def test_a_process_with_a_guard_is_governed(start, jackline_home, tmp_path):
    text = f"import jackline\nif False:\n    import openai\nguard = jackline.Guard(home={str(jackline_home)!r})\n"
    child = start(sys.executable, text)
    proc = tmp_path / "proc"  # of this process alone: others come and go
    proc.mkdir()
    for name in (str(child.pid), "self"):
        (proc / name).symlink_to(f"/proc/{name}")
    looked = look(proc)
    assert (looked.found, looked.governed) == ([], 1)


@needs_proc
def test_what_may_not_be_looked_at_is_counted(environment, start, monkeypatch):
    child = start(environment / "bin" / "python", "import crewai\n")
    seen = shadow_processes._seen

    def closed(folder):
        if folder.name == str(child.pid):
            raise PermissionError(13, "Permission denied")
        return seen(folder)

    before = look()
    monkeypatch.setattr(shadow_processes, "_seen", closed)
    looked = look()
    assert row(before, child) is not None
    assert row(looked, child) is None
    assert looked.hidden >= before.hidden + 1


def test_a_process_that_ends_meanwhile_is_passed_over(tmp_path):
    (tmp_path / "self").mkdir()
    (tmp_path / "4711").mkdir()
    assert look(tmp_path, 1) == ([], 0, 0, True)


@needs_proc
def test_one_that_ends_while_it_is_looked_at_is_passed_over(environment, start, monkeypatch):
    child = start(environment / "bin" / "python", "import crewai\n")

    def ended(folder):
        raise ProcessLookupError(3, "No such process")

    monkeypatch.setattr(shadow_processes, "_holds_journal", ended)
    assert row(look(), child) is None


@needs_proc
def test_a_pipe_as_a_program_is_not_waited_for(environment, start, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    child = start(environment / "bin" / "python", "")
    assert shadow_processes._started(Path(f"/proc/{child.pid}"), ["python", "pipe"]) == ("pipe", set())


def test_a_system_without_proc_says_so(tmp_path, monkeypatch, run, ask):
    monkeypatch.setattr("jackline.cli.discover.look", lambda: look(tmp_path))
    assert ask("agents", "discover")["processes"] == {"governed": 0, "of_other_users": 0, "possible": False}
    told = run("agents", "discover")
    assert "nothing was seen that is not registered" in told.stdout
    assert "this system has no /proc: its processes were not looked at" in told.stderr
    assert "not visible: requests to providers that were sent without a guard in the process" in told.stderr


def test_agents_that_nobody_registered(guard, ask, jackline_home):
    registry = guard.registry
    registry.agent(Agent(name="desk", framework="langchain"))
    registry.agent(Agent(name="vendor", framework="mcp", managed=False), tools=[Tool(name="shell")])
    registry.agent(Agent(name="clerk", framework="go", labels={"source": "decision-api"}, managed=False))
    registry.agent(Agent(name="reporter", framework="mcp", labels={"source": "otlp"}, managed=False), models=["gpt-5"])
    registry.agent(Agent(name="known", managed=False))
    open_registry(Home(jackline_home)).amend("known", "ana", {"status": "active"})
    found = {one["name"]: one for one in ask("agents", "discover")["found"] if one["kind"] == "agent"}
    assert {name: (one["how"], one["governed"]) for name, one in found.items()} == {
        "desk": ("a guard in its process (langchain)", True),
        "vendor": ("gateway", True),
        "clerk": ("decision API", True),
        "reporter": ("what it reports (OTLP)", False),
    }
    assert found["vendor"]["detail"]["tools"] == ["shell"]
    assert found["reporter"]["governs"].startswith("jackline.init() in its process, or the gateway (jackline mcp)")
    assert found["desk"]["governs"].endswith("jackline agents set desk --status active")


def send(guard, agent, host):
    with guard.session(agent=agent):
        guard.check(guard.request("http.request", host, {"url": f"https://{host}/v1"}, facts={"http": {}}))


def test_requests_to_providers(guard, ask, run, jackline_home):
    registry = guard.registry
    desk = registry.agent(Agent(name="desk", version="2"))
    known = registry.agent(Agent(name="known"))
    open_registry(Home(jackline_home)).amend("known", "ana", {"status": "active"})
    for host in ("api.openai.com", "api.openai.com", "example.com"):
        send(guard, desk, host)
    send(guard, known, "api.anthropic.com")
    (sent,) = [one for one in ask("agents", "discover")["found"] if one["kind"] == "requests"]
    assert (sent["name"], sent["detail"]["provider"], sent["detail"]["requests"]) == ("desk@2", "openai", 2)
    assert sent["how"].startswith("2 requests to api.openai.com, last ")
    late = ask("agents", "discover", "--days", "0")["found"]
    assert [one for one in late if one["kind"] == "requests"] == []
    shown = run("agents", "discover").stdout
    assert "2 requests to api.openai.com" in shown


def test_a_torn_line_is_passed_over(tmp_path):
    line = '{"kind":"decided","at":1e12,"agent":"a","action":"http.request","resource":"api.openai.com"}\n'
    (tmp_path / "one.jsonl").write_text(line + line[:-20] + "\n" + line.replace("decided", "completed"))
    (sent,) = requests_to_providers(tmp_path, time.time() - 60)
    assert sent.requests == 1


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("API.OpenAI.com.", "openai"),
        ("my-team.openai.azure.com", "azure"),
        ("europe-west4-aiplatform.googleapis.com", "google"),
        ("bedrock-runtime.eu-central-1.amazonaws.com", "bedrock"),
        ("s3.amazonaws.com", ""),
        ("api.openai.com.evil.example", ""),
    ],
)
def test_hosts_of_providers(host, provider):
    assert provider_of(host) == provider


@needs_proc
def test_nothing_secret_is_shown(environment, start, run):
    """Neither arguments nor environment: a key may stand in both."""
    start(environment / "bin" / "python", "import crewai\n", "-c", f"import crewai\nkey = 'sk-secret'\n{WAIT}")
    told = run("agents", "discover", "--json").stdout
    assert "crewai" in told
    assert "sk-secret" not in told
