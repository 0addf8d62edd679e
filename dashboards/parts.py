"""A part of a page: what goes wrong in it is said in its place, and the other parts are drawn."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from dashboards import notes, published
from dashboards.published import DamagedFile

LOG = logging.getLogger("mmdiag.dashboard")


@contextmanager
def part(what: str) -> Iterator[None]:
    """Draw one part.

    Args:
        what: Its name, as in `The image could not be drawn`.
    """
    try:
        yield
    except DamagedFile as error:
        damaged(error)
    except Exception as error:  # a page boundary: what fails in one part leaves the others
        LOG.error("a part of a page failed", exc_info=error)
        st.error(
            notes.plain(f"{what} could not be drawn ({type(error).__name__}).")
            + " The log names the place; the other parts are not affected.",
            icon=":material/error:",
        )


def against(bundle_id: str) -> None:
    """What the card of a model says against it, where its figures or its answers stand."""
    for sentence in published.warnings(bundle_id):
        st.warning(notes.plain(sentence), icon=":material/warning:")


def damaged(error: DamagedFile) -> None:
    """Which file cannot be read, and what brings it back."""
    what, command = error.cure
    st.error(
        f"{notes.code(error.path)} is damaged or incomplete ({error.kind}). "
        f"Cure: {what}: {notes.code(command)}",
        icon=":material/broken_image:",
    )
