"""The digest's pictures: alerts a week by clause, and what was read each day. Drawn without a display, always alike."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from alerts import wording
from alerts.days import Days, day_names, days_of, percent
from monitor.disclosure import one_line
from monitor.model import Language, Verdict
from monitor.reports import WeekReport

INK, SOFT, PAPER = "#1f2933", "#5c6269", "#ffffff"
# Told apart by those who see no red or green as well; the order of the clauses is the order of the colours.
COLOURS = ("#0b5394", "#e69f00", "#a4161a", "#6a3d9a", "#2a9d8f", "#8d6e63", "#c2185b", "#7f7f7f")
VERDICT_COLOURS = {Verdict.FULL: "#2a9d8f", Verdict.GAPS: "#e69f00", Verdict.BLIND: "#a4161a"}
TITLES = {
    Language.MS: (
        "Makluman setiap minggu mengikut perenggan",
        "Akaun minggu ini",
        "Peratus masa yang dibaca setiap hari",
    ),
    Language.EN: ("Alerts each week by clause", "Accounts this week", "Percent of the time read on each day"),
}
WIDTH = 1200  # pixels: sharp on a telephone
COLOURS_KEPT = 64
ROWS = 40  # accounts in the map of coverage
WHOLE_ROWS = 4  # wholly read accounts that are drawn beside the others, or alone
LABEL_LIMIT = 24
BRIGHT = 0.55  # of the colours: from there on dark ink is read better
NEVER = "#e3e6e9"  # before an account was registered, and days to come


def week_chart(report: WeekReport, language: Language) -> bytes:
    """Return a PNG of 1200 by 900 pixels, readable on a phone."""

    def draw(figure: Any) -> None:
        above, below = figure.subplots(2, 1, height_ratios=[4, 1])
        _alerts(above, report, language)
        _coverage(below, report, language)

    return _png(draw, height=4.5)


def coverage_map(report: WeekReport, language: Language) -> bytes:
    """Return a PNG of WIDTH pixels: what share of each day was read, the worst accounts first, ROWS at most.

    The colours go from dark to bright in one direction, and each field says its number: nobody has to tell colours.
    """
    shown = mapped(days_of(report))

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        _fields(axes, shown)
        axes.set_yticks(range(len(shown)), [_writable(days.account) for days in shown], fontsize=11, parse_math=False)
        axes.set_xticks(range(7), ["\n".join(day) for day in day_names(report, language)], fontsize=12)
        axes.tick_params(length=0, labeltop=True, labelbottom=False)
        figure.suptitle(TITLES[language][2], x=0.01, ha="left", fontsize=13, fontweight="bold")
        axes.spines[:].set_visible(False)

    return _png(draw, width=4.6, height=0.8 + 0.27 * len(shown))


def mapped(days: Sequence[Days]) -> Sequence[Days]:
    """Return the accounts that the map shows; beside few that were not wholly read, some that were."""
    holed = [one for one in days if not one.whole]
    room = max(0, WHOLE_ROWS - len(holed))
    return [*holed[:ROWS], *[one for one in days if one.whole][:room]]


def _fields(axes: Any, shown: Sequence[Days]) -> None:
    import matplotlib as mpl
    import numpy as np

    table = np.ma.masked_invalid([[np.nan if share is None else share for share in days.shares] for days in shown])
    colours = mpl.colormaps["cividis"].with_extremes(bad=NEVER)
    axes.imshow(table, cmap=colours, vmin=0, vmax=1, aspect="auto")
    axes.set_xticks([place + 0.5 for place in range(6)], minor=True)
    axes.set_yticks([place + 0.5 for place in range(len(shown) - 1)], minor=True)
    axes.grid(which="minor", color=PAPER, linewidth=2)
    axes.tick_params(which="minor", length=0)
    for row, days in enumerate(shown):
        for column, share in enumerate(days.shares):
            ink = INK if share is None or share > BRIGHT else PAPER
            axes.text(column, row, percent(share), ha="center", va="center", fontsize=11, color=ink)


def _writable(text: str) -> str:
    """Return a short name as far as the font can write it: for what it lacks matplotlib draws nothing, and warns."""
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont("DejaVu Sans")).get_charmap()
    name = one_line(text, limit=LABEL_LIMIT)
    return "".join(letter if ord(letter) in known else "□" for letter in name)


def _png(draw: Callable[[Any], None], *, height: float, width: float = 6) -> bytes:
    """Return what `draw` draws at 1200 pixels' width. A smaller `width`, in inches, makes the letters larger."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 13, "axes.edgecolor": SOFT, "text.color": INK}):
        figure = Figure(figsize=(width, height), dpi=WIDTH / width, facecolor=PAPER, layout="constrained")
        draw(figure)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", metadata={"Software": None})
    return _smaller(picture)


def _smaller(picture: io.BytesIO) -> bytes:
    """Return the picture with a palette: a sixth of the bytes, and nobody sees it."""
    from PIL import Image

    drawn, smaller = Image.open(picture).convert("RGB"), io.BytesIO()
    drawn.quantize(COLOURS_KEPT, dither=Image.Dither.NONE).save(smaller, format="png", optimize=True)
    return smaller.getvalue()


def _alerts(axes: Any, report: WeekReport, language: Language) -> None:
    """Stack each week's alerts by clause."""
    weeks = [week.partition("-")[2] for week, _ in report.alerts_per_week]
    clauses = sorted({clause for _, counts in report.alerts_per_week for clause in counts})
    floor = [0] * len(weeks)
    bars = []
    for number, clause in enumerate(clauses):
        heights = [counts.get(clause, 0) for _, counts in report.alerts_per_week]
        colour = COLOURS[number % len(COLOURS)]
        bars.append(axes.bar(range(len(weeks)), heights, bottom=floor, color=colour, width=0.7))
        floor = [low + height for low, height in zip(floor, heights, strict=True)]
    for place, height in enumerate(floor):
        axes.annotate(str(height), (place, height), ha="center", va="bottom", fontsize=12)
    axes.set_xticks(range(len(weeks)), weeks)
    axes.set_yticks([])
    axes.set_ylim(0, max([*floor, 1]) * 1.35)
    axes.set_title(TITLES[language][0], loc="left", fontsize=13, fontweight="bold")
    axes.spines[["top", "right", "left"]].set_visible(False)
    if clauses:
        names = [_writable(wording.clause_name(clause)) for clause in clauses]
        look = {"frameon": False, "loc": "upper left", "fontsize": 12, "handlelength": 1, "columnspacing": 1}
        legend = axes.legend(bars, names, ncols=min(len(clauses), 6), **look)
        for name in legend.get_texts():
            name.set_parse_math(False)


def _coverage(axes: Any, report: WeekReport, language: Language) -> None:
    """Lay the accounts end to end in one bar, by their verdict."""
    counts = Counter(week.verdict for week in report.accounts)
    left = 0
    for verdict in Verdict:
        label = f"{counts[verdict]} {wording.VERDICTS[language][verdict]}"
        axes.barh([0], [counts[verdict]], left=[left], color=VERDICT_COLOURS[verdict], height=0.6, label=label)
        left += counts[verdict]
    axes.set_xlim(0, max(left, 1))
    axes.set_ylim(-0.5, 0.5)
    axes.set_axis_off()
    axes.set_title(TITLES[language][1], loc="left", fontsize=13, fontweight="bold")
    axes.legend(frameon=False, ncols=1, loc="upper left", bbox_to_anchor=(-0.01, 0.1), fontsize=12, borderaxespad=0)
