"""The version of this distribution: the same as that of every other one in the repository."""

__version__ = "0.1.0"
