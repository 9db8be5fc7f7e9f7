"""The digest's picture: alerts a week by clause, and how much was monitored. Drawn without a display, always alike."""

from __future__ import annotations

import io
from collections import Counter
from typing import Any

from alerts import wording
from monitor.model import Language, Verdict, WeekReport

INK, SOFT, PAPER = "#1f2933", "#5c6269", "#ffffff"
# Told apart by those who see no red or green as well; the order of the clauses is the order of the colours.
COLOURS = ("#0b5394", "#e69f00", "#a4161a", "#6a3d9a", "#2a9d8f", "#8d6e63", "#c2185b", "#7f7f7f")
VERDICT_COLOURS = {Verdict.FULL: "#2a9d8f", Verdict.GAPS: "#e69f00", Verdict.BLIND: "#a4161a"}
TITLES = {
    Language.MS: ("Makluman setiap minggu mengikut perenggan", "Akaun minggu ini"),
    Language.EN: ("Alerts each week by clause", "Accounts this week"),
}


def week_chart(report: WeekReport, language: Language) -> bytes:
    """Return a PNG of 1200 by 900 pixels, readable on a phone."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 13, "axes.edgecolor": SOFT, "text.color": INK}):
        figure = Figure(figsize=(6, 4.5), dpi=200, facecolor=PAPER, layout="constrained")
        above, below = figure.subplots(2, 1, height_ratios=[4, 1])
        _alerts(above, report, language)
        _coverage(below, report, language)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _alerts(axes: Any, report: WeekReport, language: Language) -> None:
    """Stack each week's alerts by clause."""
    weeks = [week.partition("-")[2] for week, _ in report.alerts_per_week]
    clauses = sorted({clause for _, counts in report.alerts_per_week for clause in counts})
    floor = [0] * len(weeks)
    for number, clause in enumerate(clauses):
        heights = [counts.get(clause, 0) for _, counts in report.alerts_per_week]
        colour = COLOURS[number % len(COLOURS)]
        axes.bar(range(len(weeks)), heights, bottom=floor, color=colour, width=0.7, label=wording.clause_name(clause))
        floor = [low + height for low, height in zip(floor, heights, strict=True)]
    for place, height in enumerate(floor):
        axes.annotate(str(height), (place, height), ha="center", va="bottom", fontsize=12)
    axes.set_xticks(range(len(weeks)), weeks)
    axes.set_yticks([])
    axes.set_ylim(0, max([*floor, 1]) * 1.35)
    axes.set_title(TITLES[language][0], loc="left", fontsize=13, fontweight="bold")
    axes.spines[["top", "right", "left"]].set_visible(False)
    if clauses:
        axes.legend(
            frameon=False, ncols=min(len(clauses), 6), loc="upper left", fontsize=12, handlelength=1, columnspacing=1
        )


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
