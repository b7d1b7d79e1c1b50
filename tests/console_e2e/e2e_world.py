"""What the tests of the page stand on: a bundle with approvers, a console, agents beside it, a browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "console"))

from console_harness import Process  # noqa: E402

from jackline.cli import keys  # noqa: E402

BUNDLE = """\
# What this company's agents may do, and what it may cost.
jackline: 1
policies:
  - name: session-ceiling
    use: budget
    with: {limit: 0.50 USD, per: session, on_exceed: halt, unknown_price: {input: 1 USD/M, output: 4 USD/M}}
  - name: no-exports
    use: rule
    on: tool.call
    when: tool.name == 'crm.export'
    effect: deny
    reason: customer data stays in the CRM
  - name: refunds-need-a-human
    use: rule
    on: tool.call
    when: tool.name == 'refund' && args.amount > 500
    effect: escalate
    reason: refunds above 500 need a person
    with: {expires: 30m}
  - name: mail-inside-only
    use: rule
    mode: observe
    on: tool.call
    agents: "'customer-data' in agent.labels"
    when: tool.name == 'mail.send' && !args.to.endsWith('@example.com')
    effect: deny
    reason: mail goes to customers only
"""
PRICES = """\
prices:
  - {model: house-small, input: 0.60, output: 2.40}
  - {model: house-large, input: 3.00, output: 15.00}
"""
CHROMIUM = os.environ.get("JACKLINE_CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def furnish(root: Path) -> tuple[Path, Path, Path]:
    """Make home, folder with the bundle, and the person's key: (home, folder, config)."""
    home, folder, config = root / "home", root / "desk", root / "config"
    home.mkdir(mode=0o700)
    folder.mkdir()
    (home / "prices.yaml").write_text(PRICES, encoding="utf-8")
    os.environ["JACKLINE_CONFIG"] = str(config)
    _, public, _ = keys.made("ana")
    (folder / "jackline.yaml").write_text(f'{BUNDLE}approvers:\n  ana: {{key: "{public}"}}\n', encoding="utf-8")
    return home, folder, config


def company(home: Path, folder: Path, part: str, number: int = 0) -> Process:
    """Agents in a process of their own."""
    return Process(
        sys.executable, str(HERE / "company.py"), "jackline.yaml", part, str(number), home=home, folder=folder
    )
