"""A person is asked: the act waits, is approved, changed or refused at the command line, and done once."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import jackline

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
os.environ["JACKLINE_CONFIG"] = temporary.name  # where ana keeps her key: in earnest, a folder of her own user


def ana(*words: str) -> str:
    """What ana types in another terminal."""
    program = Path(sys.executable).with_name("jackline")
    return subprocess.run([program, "approvals", *words], check=True, capture_output=True, text=True).stdout


bundle = folder / "jackline.yaml"
bundle.write_text(f"""\
jackline: 1
approvers:
{ana("key", "ana")}
policies:
  - name: refunds-need-a-human
    use: rule
    on: tool.call
    when: args.amount > 500
    effect: escalate
    reason: refunds above 500
    with: {{to: ana, expires: 30m}}
""")

with jackline.Guard.load(bundle, application="support-desk") as guard, guard.session(id="job-17", user="u-9"):

    @guard.tool
    def refund(order: str, amount: int) -> str:
        return f"{amount} for {order}"

    def attempt(order: str) -> str:
        """What an agent does: it tries, and is told why not; the id of what waits."""
        try:
            print(refund(order, 900))
        except jackline.ApprovalPending as pending:
            print("waits:", pending.decision.reason)
            return pending.decision.approvals[0]
        except jackline.Denied as denied:
            print(denied)
        return ""

    ana("approve", attempt("A-1"), "--why", "known customer")
    attempt("A-1")
    ana("edit", attempt("A-2"), "--args", '{"order": "A-2", "amount": 450}')
    attempt("A-2")
    ana("deny", attempt("A-3"), "--why", "no receipt")
    attempt("A-3")
temporary.cleanup()
