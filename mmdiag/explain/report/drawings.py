"""Drawings of a case report as text that stands in the page: SVG for bars, PNG for slices."""

import base64
import html
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from mmdiag.evaluation.verdict import BASE
from mmdiag.explain.drawn import in_negated, signed
from mmdiag.explain.parts import Part
from mmdiag.explain.tissue import tissue_mask

RAISES, LOWERS, NEUTRAL = "#D55E00", "#0072B2", "#8A9099"  # Okabe and Ito
WIDTH, NAMES, BAR = 640, 210, 20  # pixels: of a drawing, of its names, of a row
LETTERS = 34  # of a name beside a bar
SIDE = 384  # pixels of the longer side of a slice
STRONGEST = 0.65  # opacity of the largest effect


def waterfall(base: float, rows: Sequence[tuple[str, float]], end: tuple[str, float] | None) -> str:
    """From the base to the answer, if there is one, a row a modality, on one axis of log-odds."""
    steps, at = [], base
    for name, value in rows:
        steps.append((name, at, at + value, signed(value)))
        at += value
    points = [base, at if end is None else end[1]]
    points += [one for step in steps for one in step[1:3]]
    low, high = min(points), max(points)
    span = max(high - low, 1e-6)

    def x(value: float) -> float:
        return NAMES + 40 + (value - low) / span * (WIDTH - NAMES - 110)

    parts = [_name(BASE, 0), _mark(x(base), 0, f"{base:+.2f}")]
    for number, (name, start, stop, text) in enumerate(steps, start=1):
        left, right = sorted((x(start), x(stop)))
        colour = RAISES if stop > start else LOWERS
        y = number * (BAR + 6)
        parts.append(_name(name, number))
        parts.append(
            f'<rect x="{left:.1f}" y="{y}" width="{max(right - left, 1):.1f}" height="{BAR}" '
            f'fill="{colour}"/>{_text(right + 5, y + 15, text)}'
        )
    last = len(steps) + 1
    if end is None:
        return _svg(last * (BAR + 6), parts)
    parts += [_name(end[0], last), _mark(x(end[1]), last, f"{end[1]:+.2f}")]
    return _svg((last + 1) * (BAR + 6), parts)


def bars(rows: Sequence[tuple[str, float]]) -> str:
    """Signed bars, the largest first."""
    reach = max((abs(value) for _, value in rows), default=0.0) or 1.0
    middle, room = NAMES + (WIDTH - NAMES) / 2, (WIDTH - NAMES) / 2 - 60
    parts = []
    for number, (name, value) in enumerate(rows):
        length = abs(value) / reach * room
        left = middle if value > 0 else middle - length
        y = number * (BAR + 4)
        place = middle + length + 5 if value > 0 else middle - length - 52
        parts += [
            _text(0, y + 14, _short(name)),
            f'<rect x="{left:.1f}" y="{y}" width="{max(length, 1):.1f}" height="{BAR - 4}" '
            f'fill="{RAISES if value > 0 else LOWERS}"/>',
            _text(place, y + 14, signed(value)),
        ]
    return _svg(len(rows) * (BAR + 4), parts)


def slices(
    stack: UInt8[ndarray, "slice row column *colour"], parts: Sequence[Part]
) -> tuple[str, int]:
    """The slice whose regions add most, plain and under its map, side by side as one picture; and
    its number, from 1.
    """
    effects = np.zeros(stack.shape[:3], np.float32)
    for part in parts:
        rows = slice(part["row"], part["row"] + part["height"])
        columns = slice(part["column"], part["column"] + part["width"])
        effects[part["slice"], rows, columns] = part["value"]
    body = tissue_mask(stack)
    effects = np.where(body, effects, 0.0).astype(np.float32)
    chosen = int(np.abs(effects).sum(axis=(1, 2)).argmax())
    largest = max(float(np.abs(effects).max()), 1e-9)
    plain = _window(stack[chosen])
    over = _over(plain, effects[chosen] / largest)
    both = np.concatenate([_sized(plain), np.ones((_sized(plain).shape[0], 8, 3)), _sized(over)], 1)
    return _png(both.astype(np.float32)), chosen + 1


def _window(plane: UInt8[ndarray, "row column *colour"]) -> Float32[ndarray, "row column 3"]:
    inside = plane[plane > 0]
    low, high = np.percentile(inside, (0.5, 99.5)) if inside.size else (0, 255)
    scaled = np.clip((plane.astype(np.float32) - low) / max(float(high - low), 1.0), 0, 1)
    found: ndarray = scaled if scaled.ndim == 3 else scaled[..., None].repeat(3, axis=2)
    return found.astype(np.float32)


def _over(
    picture: Float32[ndarray, "row column 3"], strength: Float32[ndarray, "row column"]
) -> Float32[ndarray, "row column 3"]:
    colours = [
        np.asarray([int(code[i : i + 2], 16) for i in (1, 3, 5)]) / 255 for code in (RAISES, LOWERS)
    ]
    colour = np.where(strength[..., None] > 0, *colours)
    alpha = STRONGEST * np.abs(strength)[..., None]
    mixed: ndarray = picture * (1 - alpha) + colour * alpha
    return mixed.astype(np.float32)


def _sized(picture: Float32[ndarray, "row column 3"]) -> Float32[ndarray, "height width 3"]:
    scale = SIDE / max(picture.shape[:2])
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    found: ndarray = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    return found.astype(np.float32)


def _png(picture: Float32[ndarray, "height width 3"]) -> str:
    pixels = (255 * picture[..., ::-1]).round().astype(np.uint8)
    _, content = cv2.imencode(".png", pixels)
    return f"data:image/png;base64,{base64.b64encode(content.tobytes()).decode()}"


def shaded(text: str, spans: Sequence[tuple[int, int, float]]) -> str:
    """A note with its words shaded, those of a negated sentence behind a mark; every character
    escaped.
    """
    largest = max((abs(value) for _, _, value in spans), default=0.0) or 1.0
    parts, end = [], 0
    for (start, stop, value), denied in zip(spans, in_negated(text, spans), strict=True):
        colour = RAISES if value > 0 else LOWERS
        strength = round(10 + 60 * abs(value) / largest)
        parts.append(html.escape(text[end : max(start, end)]))
        inner = ("¬" if denied else "") + html.escape(text[max(start, end) : stop])
        parts.append(
            f'<span style="background:{colour}{strength:02d};border-bottom:2px '
            f'{"solid" if value > 0 else "dotted"} {colour}">{inner}</span>'
        )
        end = max(stop, end)
    return "".join(parts) + html.escape(text[end:])


def rows_of(table: Sequence[Mapping[str, object]], columns: Sequence[str]) -> str:
    """A table of HTML."""
    head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in columns)
    body = ""
    for row in table:
        cells = [html.escape(str(row.get(name) or "")) for name in columns]
        body += f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    return f"<table><tr>{head}</tr>{body}</table>"


def _name(name: str, row: int) -> str:
    return _text(0, row * (BAR + 6) + 15, _short(name))


def _short(name: str) -> str:
    """A name that fits beside its bar; the end of a long one stays, which tells it from others."""
    if len(name) <= LETTERS:
        return name
    return f"{name[: LETTERS // 2]}…{name[-(LETTERS - 1 - LETTERS // 2) :]}"


def _mark(x: float, row: int, text: str) -> str:
    y = row * (BAR + 6)
    return (
        f'<rect x="{x - 1:.1f}" y="{y}" width="2" height="{BAR}" fill="{NEUTRAL}"/>'
        f"{_text(x + 6, y + 15, text)}"
    )


def _text(x: float | int, y: float | int, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}">{html.escape(text)}</text>'


def _svg(height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )
