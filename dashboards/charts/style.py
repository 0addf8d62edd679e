"""What all charts share: colours by Okabe and Ito, and titles that are wrapped. A modality keeps
its colour on every page.
"""

import textwrap
from collections.abc import Sequence

import altair as alt

from mmdiag.evaluation.verdict import FUSED, model_name

ACCENT = "#0072B2"
MODALITY_COLOURS = ("#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
NEUTRAL = "#8A9099"
TEXT = "#767B83"  # as readable on white as on the dark page: 4.2 to 1
TITLE = 43  # characters of a line of a title over half a page, at a width of 1280
FRAME = 84  # pixels of title and axis, which Streamlit counts into the height
Layered = alt.Chart | alt.LayerChart | alt.FacetChart
Drawn = Layered | alt.HConcatChart
REFUSED = "#D55E00"  # what was acquired, and is in quarantine
RAISES, LOWERS = "#D55E00", "#0072B2"  # signed values: orange above zero, blue below
FUSED_NAME = model_name(FUSED)


def colours(models: Sequence[str], modalities: Sequence[str]) -> alt.Scale:
    """One colour a model: the accent for the fused one, its own for each modality, grey for
    baselines.

    Args:
        models, modalities: As people read them.
    """
    known = dict(zip(modalities, MODALITY_COLOURS, strict=False)) | {FUSED_NAME: ACCENT}
    return alt.Scale(domain=list(models), range=[known.get(model, NEUTRAL) for model in models])


def title_of(lines: str | list[str]) -> alt.TitleParams:
    """A title as every chart has it."""
    return alt.TitleParams(lines, anchor="start", fontSize=14, fontWeight=600, offset=10)


def titled(chart: Layered, text: str, height: int) -> Layered:
    """A chart under its title, which is wrapped: Vega cuts what is wider than the chart."""
    lines = textwrap.wrap(text, TITLE, break_on_hyphens=False)
    return chart.properties(title=title_of(lines), height=height + FRAME + 18 * (len(lines) - 1))
