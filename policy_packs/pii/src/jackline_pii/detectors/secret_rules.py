# ruff: noqa: E501 - a pattern on one line reads best
"""The published forms of providers' keys and tokens, in our own words: a name and a linear pattern each.

Group 1 is the secret. Prefixes, alphabets and lengths are those that each provider documents; where it only promises
a prefix, the length is a lower bound.
"""

from __future__ import annotations

RULES: dict[str, str] = {
    "aws-access-key": r"\b((?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})\b",
    "aws-secret-key": r"(?i)aws[a-z0-9_ .-]{0,24}(?:secret|key)[a-z0-9_ .\"'-]{0,16}(?:=|:)[=>\s\"']{0,4}([a-z0-9/+]{40})(?:[^a-z0-9/+=]|$)",
    "azure-storage-key": r"(?i)AccountKey=([a-z0-9+/]{86}==)",
    "azure-client-secret": r"(?:^|[^A-Za-z0-9_~.-])([A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34})(?:[^A-Za-z0-9_~.-]|$)",
    "azure-sas": r"[?&]sig=([A-Za-z0-9%+/]{40,}(?:%3[dD]|=))",
    "google-api-key": r"\b(AIza[0-9A-Za-z_-]{35})(?:[^0-9A-Za-z_-]|$)",
    "google-client-secret": r"\b(GOCSPX-[0-9A-Za-z_-]{28})(?:[^0-9A-Za-z_-]|$)",
    "google-access-token": r"\b(ya29\.[0-9A-Za-z_-]{30,})",
    "github-token": r"\b(gh[pousr]_[0-9A-Za-z]{36,})\b",
    "github-fine-grained": r"\b(github_pat_[0-9A-Za-z]{22}_[0-9A-Za-z]{59})\b",
    "gitlab-token": r"\b(gl(?:pat|ptt|dt|rt|cbt|agent|soat|ft|imt|oas)-[0-9A-Za-z_-]{20,})",
    "slack-token": r"\b(xox[abeoprs](?:\.xox[bp])?-[0-9A-Za-z-]{20,})",
    "slack-app-token": r"\b(xapp-[0-9]-[A-Z0-9]{8,16}-[0-9]{10,16}-[a-f0-9]{32,})\b",
    "slack-webhook": r"(https?://hooks\.slack\.com/(?:services|workflows|triggers)/[A-Z0-9]{8,12}/[A-Z0-9]{8,12}/(?:[0-9]{17,19}/)?[A-Za-z0-9]{20,48})",
    "stripe-key": r"\b([rs]k_(?:live|test|prod)_[0-9A-Za-z]{16,})\b",
    "stripe-webhook": r"\b(whsec_[0-9A-Za-z+/]{32,64}={0,2})",
    "openai-key": r"\b(sk-(?:(?:proj|svcacct|admin|None)-[0-9A-Za-z_-]{20,}|[0-9A-Za-z]{48}))(?:[^0-9A-Za-z_-]|$)",
    "anthropic-key": r"\b(sk-ant-(?:api|admin|sid|oat|ort)[0-9]{2}-[0-9A-Za-z_-]{80,})",
    "openrouter-key": r"\b(sk-or-v1-[0-9a-f]{64})\b",
    "huggingface-token": r"\b((?:hf|api_org)_[A-Za-z0-9]{34,40})\b",
    "groq-key": r"\b(gsk_[0-9A-Za-z]{52})\b",
    "xai-key": r"\b(xai-[0-9A-Za-z]{70,90})\b",
    "perplexity-key": r"\b(pplx-[0-9A-Za-z]{48,56})\b",
    "replicate-token": r"\b(r8_[0-9A-Za-z]{37})\b",
    "npm-token": r"\b(npm_[0-9A-Za-z]{36})\b",
    "python-index-token": r"\b(pypi-AgE[0-9A-Za-z_-]{50,})",
    "rubygems-key": r"\b(rubygems_[0-9a-f]{48})\b",
    "crates-token": r"\b(cio[0-9A-Za-z]{32})\b",
    "docker-token": r"\b(dckr_(?:pat|oat)_[0-9A-Za-z_-]{27,32})(?:[^0-9A-Za-z_-]|$)",
    "sendgrid-key": r"\b(SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43})(?:[^0-9A-Za-z_-]|$)",
    "mailgun-key": r"\b(key-[0-9a-f]{32}|[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8})\b",
    "mailchimp-key": r"\b([0-9a-f]{32}-us[0-9]{1,2})\b",
    "brevo-key": r"\b(xkeysib-[0-9a-f]{64}-[0-9A-Za-z]{16})\b",
    "twilio-key": r"\b(SK[0-9a-f]{32})\b",
    "digitalocean-token": r"\b(do[oprt]_v1_[0-9a-f]{64})\b",
    "databricks-token": r"\b(dapi[0-9a-f]{32}(?:-[0-9])?)\b",
    "shopify-token": r"\b(shp(?:at|ca|pa|ss)_[0-9A-Fa-f]{32})\b",
    "square-token": r"\b(sq0(?:atp-[0-9A-Za-z_-]{22}|csp-[0-9A-Za-z_-]{43})|EAAA[0-9A-Za-z_-]{60})(?:[^0-9A-Za-z_-]|$)",
    "telegram-token": r"\b([0-9]{8,10}:AA[0-9A-Za-z_-]{33})(?:[^0-9A-Za-z_-]|$)",
    "discord-token": r"\b([MNO][0-9A-Za-z_-]{23,27}\.[0-9A-Za-z_-]{6}\.[0-9A-Za-z_-]{27,38})(?:[^0-9A-Za-z_-]|$)",
    "discord-webhook": r"(https://(?:ptb\.|canary\.)?discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/[0-9A-Za-z_-]{60,80})",
    "linear-key": r"\b(lin_(?:api|oauth)_[0-9A-Za-z]{40,64})\b",
    "notion-token": r"\b(ntn_[0-9A-Za-z]{40,50}|secret_[0-9A-Za-z]{43})\b",
    "atlassian-token": r"\b(AT[AC]TT3[0-9A-Za-z_=-]{60,})",
    "postman-key": r"\b(PMAK-[0-9a-f]{24}-[0-9a-f]{34})\b",
    "heroku-key": r"\b(HRKU-AA[0-9A-Za-z_-]{58})(?:[^0-9A-Za-z_-]|$)",
    "newrelic-key": r"\b(NRAK-[0-9A-Z]{27}|NRJS-[0-9a-f]{19})\b",
    "grafana-token": r"\b(glsa_[0-9A-Za-z]{32}_[0-9A-Fa-f]{8}|glc_[0-9A-Za-z+/]{40,}={0,2})",
    "sentry-token": r"\b(sntrys_[0-9A-Za-z+/=_-]{40,}|sntryu_[0-9a-f]{64})",
    "vault-token": r"\b(hv[sbr]\.[0-9A-Za-z_-]{24,})",
    "terraform-token": r"\b([0-9A-Za-z]{14}\.atlasv1\.[0-9A-Za-z_=-]{60,80})",
    "doppler-token": r"\b(dp\.(?:pt|st|sa|ct|scim|audit)\.(?:[0-9a-z_-]{2,35}\.)?[0-9A-Za-z]{40,44})\b",
    "pulumi-token": r"\b(pul-[0-9a-f]{40})\b",
    "fly-token": r"\b(fo1_[0-9A-Za-z_-]{43}|fm[12][ar]?_[0-9A-Za-z+/]{100,}={0,3})",
    "supabase-key": r"\b(sbp_[0-9a-f]{40}|sb_secret_[0-9A-Za-z_-]{31})(?:[^0-9A-Za-z_-]|$)",
    "planetscale-token": r"\b(pscale_(?:tkn|oauth|pw)_[0-9A-Za-z=._-]{32,64})",
    "figma-token": r"\b(fig[dopru]{1,2}_[0-9A-Za-z_-]{40,60})(?:[^0-9A-Za-z_-]|$)",
    "airtable-token": r"\b(pat[0-9A-Za-z]{14}\.[0-9a-f]{64})\b",
    "dropbox-token": r"\b(sl\.(?:u\.)?[0-9A-Za-z_-]{130,})",
    "hubspot-token": r"\b(pat-(?:na|eu)[0-9]-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b",
    "facebook-token": r"\b(EAA[MC][A-Za-z0-9]{40,400}|[0-9]{15,16}\|[0-9A-Za-z_-]{27})(?:[^0-9A-Za-z_-]|$)",
    "sourcegraph-token": r"\b(sgp_(?:(?:[0-9A-Fa-f]{16}|local)_)?[0-9A-Fa-f]{40})\b",
    "age-key": r"\b(AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58})\b",
    "json-web-token": r"\b(eyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{10,})",
    "private-key": r"(-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----[0-9A-Za-z+/=\s:,.\\()-]+?-----END (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----)",
    "connection-string": r"\b([a-z][a-z0-9+.-]{2,30}://[^\s/?#@:\"'<>]{0,80}:[^\s/?#@\"'<>]{3,}@[^\s/?#\"'<>,;]{2,})",
    "bearer-token": r"(?i)\bbearer\s+([0-9a-z._~+/-]{20,}=*)",
    "basic-credentials": r"(?i)\bbasic\s+([0-9a-z+/]{12,}={0,2})(?:[^0-9a-z+/=]|$)",
    "curl-user": r"\bcurl\b(?:[^\n\\]|\\[^\n]|\\\n){0,400}?\s(?:-u|--user)[ =]{0,4}[\"']?[^\s:\"']{0,80}:[\"']?([^\s\"'\[\]<>]{6,200})",
    "authorization-header": r"(?i)(?:authorization|x-[a-z-]{0,20}(?:key|token)|apikey)[\"']?:\s{0,4}[\"']?(?:(?:token|api-token|apikey|key|digest|apitoken)[ =])?([0-9a-z._~+/=-]{20,400})",
    "assigned": (
        r"(?i)(?:passw(?:or)?d|passphrase|passwd|pwd|secret|token|api[_-]?key|apikey|access[_-]?key|private[_-]?key"
        r"|auth[_-]?key|encryption[_-]?key|signing[_-]?key|credentials?|client[_-]?secret)[a-z0-9_]{0,20}[\"'\]]{0,2}"
        r"\s{0,3}(?:=>|:=|=|:|\n| is )\s{0,3}[\"'`]?([^\s\"'`,;(){}\[\]<>]{8,})"
    ),
}

CHECKED = frozenset(
    {
        "assigned",
        "bearer-token",
        "basic-credentials",
        "connection-string",
        "aws-secret-key",
        "curl-user",
        "authorization-header",
    }
)
"""Rules whose form alone says little: what they find must look random as well."""
