"""What people are told of approvals that wait: read from the approvals' folders, kept in an outbox, sent at least once.

Nothing here runs in an agent's process or on its path: a worker sends (`jackline approvals notify`). A guard loads no
more of it than what a bundle may say.
"""
