"""Every file is parsed in a process of its own kind, with limits of memory and time."""
