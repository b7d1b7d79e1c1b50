"""What is wrong with a condition, found when it loads, and why one could not be evaluated."""

from __future__ import annotations

from jackline.errors import JacklineError


class ConditionError(JacklineError):
    """A condition is invalid: it would fail, or could never be true, whatever the request."""

    def __init__(self, message: str, line: int = 1, column: int = 1, suggestion: str | None = None) -> None:
        self.message = message
        self.line = line
        """1-based, within the expression."""
        self.column = column
        """1-based, in characters, within the expression's line."""
        self.suggestion = suggestion
        """What was probably meant, as it would be written; None where nothing is close."""
        meant = f"; did you mean {suggestion}?" if suggestion else ""
        super().__init__(f"line {line}, column {column}: {message}{meant}")


class EvaluationError(JacklineError):
    """A condition has no value for these facts: a missing field, a wrong type, an overflow, too much work."""

    def __init__(self, message: str, offset: int = -1) -> None:
        self.message = message
        self.offset = offset
        """Characters before the failing part within the expression; -1 where it is not known."""
        super().__init__(message)


class BudgetExceeded(EvaluationError):
    """Macros looked at more elements than one evaluation may; `&&` and `||` do not absorb this."""


def position(source: str, offset: int) -> tuple[int, int]:
    """Turn an offset into a 1-based line and column."""
    before = source[: max(offset, 0)]
    line = before.count("\n") + 1
    return line, len(before) - (before.rfind("\n") + 1) + 1


def located(source: str, offset: int, message: str, suggestion: str | None = None) -> ConditionError:
    """Make a `ConditionError` for a place in the source."""
    line, column = position(source, offset)
    return ConditionError(message, line, column, suggestion)


def closest(word: str, known: object) -> str | None:
    """Find what was probably meant among `known`, or None; letter case and underscores count little."""
    import difflib  # noqa: PLC0415 - only a failing load pays for it

    names = [str(name) for name in known] if isinstance(known, (list, tuple, set, frozenset, dict)) else []
    folded = {name.lower().replace("_", ""): name for name in names}
    near = difflib.get_close_matches(word.lower().replace("_", ""), list(folded), n=1, cutoff=0.6)
    return folded[near[0]] if near else None
