"""Charts as SVG of our own: no script, no style of their own, and a table beside each that says the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

_WIDTH: Final = 720
_HEIGHT: Final = 150
_TALL: Final = 126  # the highest value; above it stands what it is
_FOOT: Final = 24
_GAP: Final = 0.25  # of a column


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of a chart. `name` is a key of the catalogue."""

    name: str
    css: str
    values: Sequence[float]


type Said = Callable[[float], str]
"""Puts a value into words."""

type Say = Callable[[str], str]
"""Says a key of the catalogue in this person's language."""


def columns(labels: Sequence[str], series: Sequence[Series], said: Said, say: Say) -> Markup:
    """Columns, the series stood on each other; each says what it is to whoever points at it."""
    tops = [sum(each.values[i] for each in series) for i in range(len(labels))]
    top = max([*tops, 0]) or 1
    width = _WIDTH / max(len(labels), 1)
    shapes: list[Markup] = []
    for i in range(len(labels)):
        base = 0.0
        for each in series:
            height = _TALL * each.values[i] / top
            if height > 0:
                place = (i * width + width * _GAP / 2, _HEIGHT - base - height, width * (1 - _GAP), height)
                pointed = _pointed(labels[i], each, said(each.values[i]), say)
                shapes.append(
                    Markup(
                        '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>'
                    ).format(each.css, *place, pointed)
                )
            base += height
    return _drawn([*shapes, *_foot(labels, width), _high(said(top))])


def lines(labels: Sequence[str], series: Sequence[Series], said: Said, say: Say) -> Markup:
    """Lines; a value below zero is one that is not known."""
    top = max([value for each in series for value in each.values] or [0]) or 1
    width = _WIDTH / max(len(labels), 1)
    shapes: list[Markup] = []
    for each in series:
        points: list[str] = []
        for i, value in enumerate(each.values):
            if value >= 0:
                x, y = (i + 0.5) * width, _HEIGHT - _TALL * value / top
                points.append(f"{x:.1f},{y:.1f}")
                dot = Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3"><title>{}</title></circle>')
                shapes.append(dot.format(each.css, x, y, _pointed(labels[i], each, said(value), say)))
        shapes.append(Markup('<polyline class="{} line-of" points="{}"/>').format(each.css, " ".join(points)))
    return _drawn([*shapes, *_foot(labels, width), _high(said(top))])


def _pointed(label: str, series: Series, value: str, say: Say) -> str:
    return f"{label} · {say(series.name)}: {value}"


def share(value: float, most: float) -> Markup:
    """A bar in a table's cell."""
    width = 100 * value / most if most > 0 else 0
    return Markup(
        '<svg class="share" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="s-all" width="100" height="6"/><rect class="s-accent" width="{:.1f}" height="6"/></svg>'
    ).format(width)


def _foot(labels: Sequence[str], width: float) -> list[Markup]:
    step = max(1, -(-len(labels) // 8))
    return [
        Markup('<text x="{:.1f}" y="{}" text-anchor="{}">{}</text>').format(
            (i + 0.5) * width if i else 0, _HEIGHT + _FOOT - 4, "middle" if i else "start", labels[i]
        )
        for i in range(0, len(labels), step)
    ]


def _high(said: str) -> Markup:
    return Markup('<line class="faint" x1="0" x2="{}" y1="{}" y2="{}"/><text x="0" y="14">{}</text>').format(
        _WIDTH, _HEIGHT - _TALL, _HEIGHT - _TALL, said
    )


def _drawn(shapes: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" aria-hidden="true"><line x1="0" x2="{}" y1="{}" y2="{}"/>{}</svg>'
    ).format(_WIDTH, _HEIGHT + _FOOT, _WIDTH, _HEIGHT, _HEIGHT, Markup().join(shapes))
