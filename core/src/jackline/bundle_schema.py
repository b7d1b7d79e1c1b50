"""The JSON Schema of bundles, with the options of every installed policy: for editors and for `jackline schema`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline.alert_rules import DEFAULTS, KINDS, RuleEntry
from jackline.bundle_model import INLINE, BundleFile, PolicyEntry
from jackline.errors import PluginError

if TYPE_CHECKING:
    from jackline.plugins import Plugins

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def bundle_schema(plugins: Plugins) -> dict[str, Any]:
    """Make the schema of a bundle in this environment: one alternative for each policy that can be used.

    Conditions, durations and amounts are text with a pattern at most: what they mean, `jackline check` tells.
    A policy that cannot be imported is left out and named in `$comment`.
    """
    definitions: dict[str, Any] = {}
    left_out: list[str] = []
    for name in plugins.registrations.names("policy"):
        try:
            policy_class = plugins.registrations.policy(name)
        except PluginError as error:
            left_out.append(str(error))
            continue
        definitions[f"policy_{name}"] = _entry_schema(name, policy_class, definitions)
    whole = _model_schema(BundleFile, "bundle", definitions)
    whole["properties"] = {key: _not_null(value) for key, value in whole["properties"].items()}
    known = [key for key in definitions if key.startswith("policy_")]
    rules = definitions["bundle_AlertsSection"]["properties"]["rules"]
    (pattern,) = rules.pop("patternProperties")
    rules |= {"propertyNames": {"pattern": pattern}, **_alert_rules(definitions)}
    whole["properties"]["policies"] = {"type": "array", "items": {"oneOf": [_ref(key) for key in known]}}
    named = {"title": "Jackline bundle", "description": "Policies for agents, as `jackline check` reads them."}
    schema = {"$schema": DIALECT, **whole, **named, "$defs": definitions}
    if left_out:
        schema["$comment"] = "; ".join(left_out)
    return schema


def _entry_schema(name: str, policy_class: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    entry = _model_schema(PolicyEntry, name, definitions)
    entry["properties"]["use"] = {"const": name}
    options = _model_schema(policy_class.Options, name, definitions)
    inline = [key for key in INLINE if key in getattr(policy_class, "inline", ())]
    for key in inline:
        entry["properties"][key] = options["properties"].pop(key)
    required = options.pop("required", [])
    entry["required"] = [*entry["required"], *(key for key in required if key in inline)]
    under = [key for key in required if key not in inline]
    if under:
        options["required"] = under
        entry["required"].append("with")
    entry["properties"]["with"] = options
    entry["properties"] = {key: _not_null(value) for key, value in entry["properties"].items()}
    entry["title"] = f"use: {name}"
    entry["description"] = (policy_class.__doc__ or "").strip().partition("\n")[0]
    return entry


def _alert_rules(definitions: dict[str, Any]) -> dict[str, Any]:
    """Rules by name: one alternative for each kind; one that has the name of a default need not say its kind."""
    for name, kind in KINDS.items():
        rule = _model_schema(RuleEntry, "alert", definitions)
        when = _model_schema(kind.when, f"alert_{name}", definitions)
        when["properties"] = {key: _not_null(value) for key, value in when.get("properties", {}).items()}
        rule["properties"] = {key: _not_null(value) for key, value in rule["properties"].items()}
        rule["properties"] |= {"kind": {"const": name}, "when": when}
        rule["properties"]["by"] |= {"enum": list(kind.by)}
        definitions[f"alert_{name}"] = rule | {"title": f"kind: {name}", "description": f"Fires where {kind.about}."}
    named = [{"allOf": [_ref(f"alert_{kind}"), {"required": ["kind"]}]} for kind in KINDS]
    definitions["alert_rule"] = {"anyOf": named}
    defaults = {name: {"anyOf": [_ref(f"alert_{kind}"), _ref("alert_rule")]} for name, kind in DEFAULTS.items()}
    return {"properties": defaults, "additionalProperties": _ref("alert_rule")}


def _model_schema(model: Any, prefix: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of one model; the models that it uses move into the whole schema's definitions."""
    schema: dict[str, Any] = model.model_json_schema(
        by_alias=True, ref_template=f"#/$defs/{prefix}_{{model}}", mode="validation"
    )
    for key, value in schema.pop("$defs", {}).items():
        definitions[f"{prefix}_{key}"] = value
    return schema


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A key that may be left out is not one that may be empty."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == len(schema.get("anyOf", ())):
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf" and (key, value) != ("default", None)}
    return {**rest, **kinds[0]} if len(kinds) == 1 else {**rest, "anyOf": kinds}


def _ref(key: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{key}"}
