"""Commands on data: what comes in, what goes out, what was refused."""
