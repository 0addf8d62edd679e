"""Sandbox: worker processes that parse files of unknown origin, with limits of memory and time."""
