"""Cases for secrets, made anew from a seed: nothing that looks like a key is ever written into a file."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import string
import uuid
from typing import NamedTuple

HEX = "0123456789abcdef"
ALNUM = string.ascii_letters + string.digits
URLSAFE = ALNUM + "_-"
BASE64 = ALNUM + "+/"
UPPER = string.ascii_uppercase + string.digits
BASE32 = string.ascii_uppercase + "234567"


class Case(NamedTuple):
    """A text, and the secret in it; empty where there is none."""

    name: str
    text: str
    secret: str = ""


# Each form as its provider publishes it: text in capitals within braces is an alphabet, the number its length.
FORMS: dict[str, str] = {
    "aws access key": "AKIA{BASE32:16}",
    "aws temporary key": "ASIA{BASE32:16}",
    "google api key": "AIza{URLSAFE:35}",
    "google client secret": "GOCSPX-{URLSAFE:28}",
    "google access token": "ya29.{URLSAFE:120}",
    "github classic": "ghp_{ALNUM:36}",
    "github oauth": "gho_{ALNUM:36}",
    "github server": "ghs_{ALNUM:36}",
    "github refresh": "ghr_{ALNUM:76}",
    "github fine-grained": "github_pat_{ALNUM:22}_{ALNUM:59}",
    "gitlab personal": "glpat-{URLSAFE:20}",
    "gitlab runner": "glrt-{URLSAFE:20}",
    "slack bot": "xoxb-{DIGITS:12}-{DIGITS:13}-{ALNUM:24}",
    "slack user": "xoxp-{DIGITS:12}-{DIGITS:12}-{DIGITS:13}-{HEX:32}",
    "slack app": "xapp-1-A{UPPER:10}-{DIGITS:13}-{HEX:64}",
    "slack webhook": "https://hooks.slack.com/services/T{UPPER:10}/B{UPPER:10}/{ALNUM:24}",
    "stripe live": "sk_live_{ALNUM:24}",
    "stripe restricted": "rk_live_{ALNUM:99}",
    "stripe webhook": "whsec_{ALNUM:32}",
    "openai project": "sk-proj-{URLSAFE:74}T3BlbkFJ{URLSAFE:74}",
    "openai legacy": "sk-{ALNUM:20}T3BlbkFJ{ALNUM:20}",
    "openai service": "sk-svcacct-{URLSAFE:74}T3BlbkFJ{URLSAFE:74}",
    "anthropic": "sk-ant-api03-{URLSAFE:93}AA",
    "openrouter": "sk-or-v1-{HEX:64}",
    "hugging face": "hf_{LETTERS:34}",
    "groq": "gsk_{ALNUM:52}",
    "xai": "xai-{ALNUM:80}",
    "perplexity": "pplx-{ALNUM:48}",
    "replicate": "r8_{ALNUM:37}",
    "npm": "npm_{ALNUM:36}",
    "python index": "pypi-AgEIcHlwaS5vcmc{URLSAFE:80}",
    "rubygems": "rubygems_{HEX:48}",
    "docker": "dckr_pat_{URLSAFE:27}",
    "sendgrid": "SG.{URLSAFE:22}.{URLSAFE:43}",
    "mailgun": "key-{HEX:32}",
    "mailchimp": "{HEX:32}-us21",
    "brevo": "xkeysib-{HEX:64}-{ALNUM:16}",
    "twilio": "SK{HEX:32}",
    "digitalocean": "dop_v1_{HEX:64}",
    "databricks": "dapi{HEX:32}",
    "shopify": "shpat_{HEX:32}",
    "square": "sq0csp-{URLSAFE:43}",
    "telegram": "{NONZERO:10}:AA{URLSAFE:33}",
    "discord bot": "MT{ALNUM:24}.{URLSAFE:6}.{URLSAFE:38}",
    "discord webhook": "https://discord.com/api/webhooks/{DIGITS:18}/{URLSAFE:68}",
    "linear": "lin_api_{ALNUM:40}",
    "notion": "ntn_{DIGITS:11}{ALNUM:35}",
    "atlassian": "ATATT3xFfGF0{URLSAFE:171}={UPPER:8}",
    "postman": "PMAK-{HEX:24}-{HEX:34}",
    "heroku": "HRKU-AA{URLSAFE:58}",
    "new relic": "NRAK-{UPPER:27}",
    "grafana": "glsa_{ALNUM:32}_{HEX:8}",
    "sentry": "sntryu_{HEX:64}",
    "hashicorp vault": "hvs.{URLSAFE:90}",
    "terraform": "{ALNUM:14}.atlasv1.{URLSAFE:67}",
    "doppler": "dp.pt.{ALNUM:43}",
    "pulumi": "pul-{HEX:40}",
    "fly": "fo1_{URLSAFE:43}",
    "supabase": "sbp_{HEX:40}",
    "planetscale": "pscale_tkn_{URLSAFE:43}",
    "figma": "figd_{URLSAFE:40}",
    "airtable": "pat{ALNUM:14}.{HEX:64}",
    "hubspot": "pat-na1-{UUID:0}",
    "age": "AGE-SECRET-KEY-1{BECH:58}",
    "azure storage": "AccountKey={BASE64:86}==",
    "azure client secret": "{ALNUM:3}8Q~{URLSAFE:34}",
    "facebook": "EAAM{ALNUM:180}",
    "facebook app": "{NONZERO:16}|{URLSAFE:27}",
    "sourcegraph": "sgp_{HEX:16}_{HEX:40}",
    "postgres": "postgresql://app:{ALNUM:16}@db.internal:5432/shop",
    "mongodb": "mongodb+srv://svc:{ALNUM:18}@cluster0.mongodb.net/x",
    "redis": "redis://:{ALNUM:20}@cache.internal:6379/0",
}
_ALPHABETS = {
    "HEX": HEX,
    "ALNUM": ALNUM,
    "URLSAFE": URLSAFE,
    "BASE64": BASE64,
    "UPPER": UPPER,
    "BASE32": BASE32,
    "DIGITS": string.digits,
    "NONZERO": "123456789",
    "LETTERS": string.ascii_letters,
    "BECH": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
}
AROUND = ("{}", "export KEY={}", 'client = Client("{}")', "please use {} for the upload.", '{{"value": "{}"}}')


def made(form: str, chance: random.Random) -> str:
    """Fill a form in."""
    parts = []
    for piece in form.split("{"):
        alphabet, brace, rest = piece.partition("}")
        if not brace:
            parts.append(piece)
            continue
        name, _, size = alphabet.partition(":")
        if name == "UUID":
            parts.append(str(uuid.UUID(int=chance.getrandbits(128), version=4)) + rest)
            continue
        body = "".join(chance.choice(_ALPHABETS[name]) for _ in range(int(size)))
        if name == "URLSAFE":
            body = f"k{body[1:-1]}k"
        parts.append(body + rest)
    return "".join(parts)


def _whole(secret: str) -> str:
    """What of a form must not be seen: of an address, what stands before the host."""
    return secret.partition("@")[0] if "://" in secret and "@" in secret else secret.removeprefix("AccountKey=")


def token(chance: random.Random) -> str:
    """Make a JSON web token."""

    def part(data: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

    body = {"sub": made("{ALNUM:12}", chance), "exp": chance.randrange(10**9, 2 * 10**9)}
    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(body)}.{made('{URLSAFE:43}', chance)}"


def private_key(chance: random.Random, kind: str) -> str:
    """Make what looks like a PEM file."""
    lines = "\n".join(made("{BASE64:64}", chance) for _ in range(8))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----"


def assigned(chance: random.Random) -> list[Case]:
    """Make secrets without a form of their own, behind a name that tells them."""
    cases = []
    for start in (
        "password = '{}'",
        'DB_PASSWORD="{}"',
        "api_key: {}",
        '"client_secret": "{}"',
        "SECRET_KEY={}",
        "auth_token => '{}'",
    ):
        for form in ("{ALNUM:20}", "{HEX:32}", "{BASE64:40}", "Tr0ub4dor&{DIGITS:4}"):
            secret = made(form, chance)
            cases.append(Case("assigned", start.format(secret), secret))
    secret = made("{BASE64:40}", chance)
    cases.append(Case("aws secret", f"aws_secret_access_key = {secret}", secret))
    cases.append(Case("bearer", f"Authorization: Bearer {(bearer := made('{ALNUM:40}', chance))}", bearer))
    password = made("{ALNUM:14}", chance)
    cases.append(Case("curl", f"curl -s --user 'api:{password}' https://api.internal/v2", password))
    key = made("{HEX:40}", chance)
    cases.append(Case("header", f'curl -H "Authorization: Token {key}" https://api.internal/v2', key))
    pair = base64.b64encode(f"svc:{made('{ALNUM:14}', chance)}".encode()).decode()
    cases.append(Case("basic", f"Authorization: Basic {pair}", pair))
    return cases


def secrets(seed: int = 4) -> list[Case]:
    """Give every text that holds a secret."""
    chance = random.Random(seed)
    cases = [
        Case(name, around.format(secret), _whole(secret))
        for name, form in FORMS.items()
        for around in chance.sample(AROUND, 3)
        for secret in [made(form, chance)]
    ]
    tokens = [token(chance) for _ in range(4)]
    keys = [private_key(chance, kind) for kind in ("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ")]
    return [
        *cases,
        *(Case("jwt", f"token {each} x", each) for each in tokens),
        *(Case("pem", f"key:\n{each}\n", each) for each in keys),
        *assigned(chance),
    ]


WRITTEN = [
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "sk_live_your_key_goes_here_0000",
    "sk_test_xxxxxxxxxxxxxxxxxxxxxxxx",
    "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "ghp_" + "0" * 36,
    "xoxb-your-token-here-please",
    "password = '<your password>'",
    "password: ********",
    "PASSWORD=${DB_PASSWORD}",
    "password = os.environ['DB_PASSWORD']",
    "api_key = settings.OPENAI_API_KEY",
    "token = get_token(request)",
    "secret: {{ .Values.secret }}",
    "api_key: YOUR_API_KEY",
    "password=changeme123",
    "token: null_token_value",
    "secret_key = generate_secret_key()",
    "the password is incorrect, try again",
    "password = input('password: ')",
    "token = tokenizer.encode(text)",
    "max_tokens = 4096",
    "token_count: 1234567890",
    "password_hash_algorithm = pbkdf2_sha256",
    "secretsmanager:GetSecretValue",
    "api_key_header = 'X-API-Key'",
    "auth_token_url: https://auth.internal/oauth/token",
    "private_key_path = /etc/ssl/private/server.key",
    "credentials: ./credentials.json",
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----\n<your key>\n-----END RSA PRIVATE KEY-----",
    "postgres://user:password@localhost/db",
    "postgres://user:${PASSWORD}@db/app",
    "https://example.com/path?x=1",
    "redis://localhost:6379/0",
    "mysql://root:<password>@db",
    "Authorization: Bearer <token>",
    "Authorization: Bearer $TOKEN",
    "Authorization: Bearer YOUR_ACCESS_TOKEN_HERE",
    "Authorization: Basic <credentials>",
    "Bearer tokens are opaque strings",
    "eyJub3QiOiJhIHRva2VuIn0",
    "eyJ.eyJ.x",
    "hf_model_name_or_path",
    "sk-learn is a library",
    "sk-toggleable__control:checked~div",
    "npm_config_registry_url_is_set_to_the_default",
    "AIzaSyExampleExampleExampleExampleExamp",
    "SG.example.placeholder",
    "key-value-store-configuration-option",
    "glpat-example-token-here-00",
    "pat-na1-your-token",
    "dapi_client_configuration",
    "shpat_example",
    "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
    "https://discord.com/api/webhooks/123/abc",
    "ACCOUNT_KEY_NAME=storage",
    "passphrase: correct horse battery staple",
    "token: str",
    "secret: bool = False",
    "def check_password(self, raw_password):",
    "from secrets import token_urlsafe",
    "passwd:x:1000:1000::/home/bob:/bin/sh",
    "api-key-rotation-policy: enabled-by-default",
    "csrf_token = request.META.get",
    "pwd=/usr/local/bin",
    "token_type: refresh_token",
    "client_secret_post, client_secret_basic",
    "access_key_id: string",
    "SECRET_NAME=prod/database/main",
    "apikey=undefined",
    "secret = None",
    "password: string;",
    "token=abcdefgh",
]
"""Placeholders, examples of documentation, names and code."""


def near_misses(seed: int = 4) -> list[Case]:
    """Give texts that only look as if they held one: placeholders, examples, hashes, UUIDs, images, code."""
    chance = random.Random(seed)
    blob = bytes(chance.randrange(256) for _ in range(600))
    cases = [Case("written", text) for text in WRITTEN]
    for _ in range(12):
        raw = made("{ALNUM:30}", chance).encode()
        cases += [
            Case("md5", f"md5 {hashlib.md5(raw, usedforsecurity=False).hexdigest()}  file.tar"),
            Case("sha1", f"commit {hashlib.sha1(raw, usedforsecurity=False).hexdigest()}"),
            Case("sha256", f"sha256:{hashlib.sha256(raw).hexdigest()}"),
            Case("integrity", f"sha512-{base64.b64encode(hashlib.sha512(raw).digest()).decode()}"),
            Case("uuid", f"id: {uuid.UUID(int=chance.getrandbits(128), version=4)}"),
            Case("key uuid", f"key: {uuid.UUID(int=chance.getrandbits(128), version=4)}"),
            Case("base32", f"order {made('{BASE32:20}', chance)}"),
            Case("slug", f"/posts/{chance.randrange(9999)}-how-to-rotate-your-api-keys-and-tokens"),
        ]
    for size in (40, 120, 300, 600):
        cases += [
            Case("image", f"data:image/png;base64,iVBORw0KGgo{base64.b64encode(blob[:size]).decode()}"),
            Case("attachment", f"Content-Transfer-Encoding: base64\n\n{base64.b64encode(blob[:size]).decode()}"),
        ]
    return cases
