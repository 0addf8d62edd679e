"""The path by which slices reach the browser: of who may see the page, one slice an answer."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Integer
from numpy import ndarray
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dashboards import published
from dashboards.review.reader import reader
from dashboards.viewer.series import SLICES
from mmdiag.kinds import kind_named
from mmdiag.storage.display.codec import raw_slice


def route() -> Route:
    """`GET /api/slices?cohort=&case=&version=&modality=&of=&slice=`: behind the same gate as
    every page.
    """
    return Route(f"/{SLICES}", _answer, methods=["GET"])


async def _answer(request: Request) -> Response:
    return await run_in_threadpool(answer, dict(request.query_params))


def answer(asked: Mapping[str, str]) -> Response:
    """The slice that is asked for, as `codec.raw_slice` has it.

    404 where there is none, 403 where the role may not see it, 410 where its file is damaged; no
    answer repeats what was asked.
    """
    if not reader().may("view"):
        return PlainTextResponse("Your role does not show cases.", status_code=403)
    try:
        plane = _slice(asked)
    except published.DamagedFile as error:
        what, command = error.cure
        said = f"{error.path} is damaged ({error.kind}). Cure: {what}: {command}"
        return PlainTextResponse(said, status_code=410)
    if plane is None:
        return PlainTextResponse("There is no such slice.", status_code=404)
    return Response(raw_slice(plane), media_type="application/octet-stream")


def _slice(asked: Mapping[str, str]) -> Integer[ndarray, "row column *colour"] | None:
    cohort, name, number = asked.get("cohort", ""), asked.get("modality", ""), asked.get("slice")
    if cohort not in published.cohort_folders() or number is None or not number.isdecimal():
        return None
    store = published.store(cohort)
    if name not in store.modalities or kind_named(store.modalities[name]).drawn_as != "image":
        return None
    cases = store.cases
    own = (cases["case_id"] == asked.get("case")) & cases[f"has_{name}"].astype(bool)
    if "version" in cases:
        own &= cases["version"] == asked.get("version")
    rows = np.flatnonzero(own.to_numpy())
    if not len(rows):
        return None
    row, place = int(rows[0]), int(number)
    if asked.get("of") == "display":
        with published.reading_display(store, name, row):
            display = store.display(name, row)
            there = display is not None and place < len(display)
            return display.slice(place) if display is not None and there else None
    with published.reading_part(store, name, row):
        stack = store.images(name, row)
        return stack[place] if place < len(stack) else None
