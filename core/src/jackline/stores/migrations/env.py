"""Alembic's entrance: runs on the connection that the store hands it, within the store's transaction."""

from __future__ import annotations

from alembic import context

from jackline.stores.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
