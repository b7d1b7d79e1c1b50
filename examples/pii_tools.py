"""Personal data does not leave: tokens that one tool may turn back, masks for tools and models, secrets denied."""

import os
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet

import jackline

BUNDLE = """
jackline: 1
policies:
  - name: no-secrets
    use: pii
    with: {entities: [SECRET, URL_CREDENTIALS], action: deny}
  - name: tokens-for-everyone-but-crm
    use: pii
    on: [tool.call, tool.return]
    with:
      entities: [EMAIL, PHONE]
      action: tokenise
      vault: {key_env: PII_VAULT_KEY, file: %s, tools: [crm_mail]}
  - name: no-cards
    use: pii
    with: {entities: [CREDIT_CARD, IBAN], action: mask}
"""

folder = Path(tempfile.mkdtemp())
os.environ["PII_VAULT_KEY"] = Fernet.generate_key().decode()
(folder / "jackline.yaml").write_text(BUNDLE % (folder / "vault.db"), encoding="utf-8")
guard = jackline.Guard.load(folder / "jackline.yaml", home=folder / "home")


@guard.tool
def crm_get(customer: str) -> str:
    return f"{customer}: ann@example.org, card 4111 1111 1111 1111"


@guard.tool
def web_post(text: str) -> str:
    return f"posted {len(text)} signs" if "@" not in text else "an address was posted"


@guard.tool
def crm_mail(to: str) -> str:
    return "sent" if to == "ann@example.org" else f"no such address: {to}"


with guard.session(id="ticket-1"):
    known = crm_get("C-1")
    address = known.split(",")[0].removeprefix("C-1: ")
    print(known.replace(address, "[EMAIL:...]"))
    print(web_post(f"write to {address}"))
    print(crm_mail(address))
    try:
        web_post("password = 'Tr0ub4dor&3x9'")
    except jackline.Denied as denied:
        print(denied)
guard.close()
