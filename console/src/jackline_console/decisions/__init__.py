"""The Decision API: agents in any language ask before they act, and record what came of it."""
