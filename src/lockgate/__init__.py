"""Lockgate's desk: runs the repository's Azure files on one machine."""

__version__ = "0.1.0"
