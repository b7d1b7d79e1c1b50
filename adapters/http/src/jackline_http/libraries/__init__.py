"""The libraries that send requests, wrapped where no request of theirs passes by, whenever they are imported."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from jackline.adapters import when_loaded
from jackline.errors import JacklineError
from jackline.wrapping import Wraps

if TYPE_CHECKING:
    from collections.abc import Callable


class Library(Wraps):
    """One library's wraps; it may not be there, or come later."""

    def __init__(self, name: str, needs: str, put_on: Callable[[Library, Any], None]) -> None:
        """`needs`: the oldest version whose parts are where `put_on` looks for them."""
        super().__init__()
        self.name = name
        self._needs = needs
        self._wrap_parts = put_on
        self._call_off: Callable[[], object] | None = None

    def watch(self) -> None:
        """Wrap it now, or when it is loaded."""
        self._call_off = when_loaded((self.name,), self.install)

    def leave(self) -> None:
        """Undo `watch`."""
        if self._call_off is not None:
            self._call_off()
            self._call_off = None
        self.remove()

    def put_on(self) -> None:
        """Wrap what it has; a version that has it elsewhere would be sent through ungoverned, so that is an error."""
        module = sys.modules[self.name]
        if module.__name__ != self.name:  # an alias of another library, which is wrapped by its own name
            return
        try:
            self._wrap_parts(self, module)
        except (AttributeError, KeyError, ImportError) as error:
            version = getattr(module, "__version__", "of an unknown version")
            raise JacklineError(
                f"{self.name} {version} cannot be governed: {error} is not where jackline-http looks for it. "
                f"It knows {self.name} >= {self._needs}"
            ) from error
