"""The viewer as a component of Streamlit: its files are served by this server, so that the policy
of the page (no script but its own) holds.
"""

from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

NAME = "mmdiag.viewer"
PACKAGE, COMPONENT = NAME.split(".")
FOLDER = Path(__file__).resolve().parent


def show(series: list[dict[str, Any]], *, of: str) -> None:
    """Show the images of a case.

    Args:
        series: As `series.series_of` tells of each.
        of: What tells this case from another: the viewer keeps what a reader chose while it stays.
    """
    _register()
    mount = st.components.v2.component(NAME, css="viewer.css", js="viewer.js")
    mount(data={"id": of, "series": series}, key="viewer", height="content")


def _register() -> None:
    """Say where the files lie. Streamlit looks for that among installed packages; the dashboard
    also runs from a checkout.
    """
    manager = get_bidi_component_manager()
    if manager.get_component_asset_root(NAME) is None:
        config = ComponentConfig(COMPONENT, "assets")
        manager.register_from_manifest(ComponentManifest(PACKAGE, "1", [config]), FOLDER)
