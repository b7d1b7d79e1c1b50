"""The command line. `main` is the program's entry; what a verb needs is imported when that verb runs."""

from __future__ import annotations


def main() -> None:
    """Run `jackline` with this process's arguments."""
    from jackline.cli.application import application  # noqa: PLC0415 - `jackline.cli` itself costs nothing to import

    application()()
