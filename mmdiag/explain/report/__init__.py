"""One self-contained page of a case, to read and to print: nothing is asked of anybody for it."""
