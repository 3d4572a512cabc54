"""The chart of `make tokens`: an SVG with one bar per day, without scripts or links to other hosts."""

import sys
from typing import Any

import pygal
from pygal.etree import etree
from pygal.style import Style

from instagram_connect.models import Provider
from operations.tokens_schedule import Schedule

# pygal installs an import finder for its map plugins that makes Python 3.11 warn at every later import.
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]

# From Okabe and Ito's palette for colour-blind readers: Facebook Login, Instagram Login, overdue.
_COLOURS = ("#0072B2", "#CC79A7", "#D55E00")
_FONT = "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif"


def picture(schedule: Schedule, title: str) -> bytes:
    """Return an SVG with one bar for everything due before today, then a stacked bar per day of the horizon."""
    chart = pygal.StackedBar(
        # The default is a script on another host, used only for tooltips.
        js=[],
        width=1200,
        height=560,
        margin=24,
        spacing=12,
        legend_at_bottom=True,
        legend_at_bottom_columns=3,
        show_minor_x_labels=False,
        truncate_label=-1,
        # No fractions of a token on the axis.
        order_min=0,
        value_formatter=lambda value: f"{value:,.0f}",
        title=title,
        x_title=f"day (UTC); due later: {schedule.later.total():,}",
        y_title="tokens due",
        no_data_text="no token is due on these days",
        style=_style(),
    )
    # A gap separates the overdue bar, which is not a day; the legend names it.
    days = [f"{day.day} {day:%b}" for day in schedule.days]
    chart.x_labels = ["", "", *days]
    chart.x_labels_major = days[::7]
    for provider in Provider:
        chart.add(f"{provider.title()} Login", [0, 0, *(counts[provider] for counts in schedule.days.values())])
    chart.add("overdue, from before today", [schedule.before.total()])
    return _without_script(chart.render_tree())


def _style() -> Style:
    return Style(
        background="white",
        plot_background="white",
        foreground="#374151",
        foreground_strong="#111827",
        foreground_subtle="#6B7280",
        guide_stroke_color="#D1D5DB",
        major_guide_stroke_color="#D1D5DB",
        guide_stroke_dasharray="none",
        major_guide_stroke_dasharray="none",
        opacity="1",
        colors=_COLOURS,
        font_family=_FONT,
        title_font_size=18,
        legend_font_size=15,
        label_font_size=13,
        major_label_font_size=13,
        no_data_font_size=24,
    )


def _without_script(root: Any) -> bytes:
    # The remaining script is not needed, and pygal's comments contain host names.
    for parent in list(root.iter()):
        for node in list(parent):
            if node.tag in (etree.Comment, "script"):
                parent.remove(node)
    return bytes(etree.tostring(root, encoding="utf-8"))
