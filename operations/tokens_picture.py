"""The picture of `make tokens`: an SVG with a bar for each day, which names no host and holds no script."""

import sys
from typing import Any

import pygal
from pygal.etree import etree
from pygal.style import Style

from instagram_connect.models import Provider
from operations.refresh_schedule import Schedule

# pygal leaves a finder for its map plugins, of a kind that Python 3.11 warns about at every later import of anything.
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]

# Of Okabe and Ito's palette, told apart with any colour vision: Facebook Login, Instagram Login, overdue.
_COLOURS = ("#0072B2", "#CC79A7", "#D55E00")
_FONT = "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif"


def picture(schedule: Schedule, title: str) -> bytes:
    """An SVG with a stacked bar for each day of the horizon, after one for all that was due on days before."""
    chart = pygal.StackedBar(
        # The default is a script of another host, which only shows tooltips.
        js=[],
        width=1200,
        height=560,
        margin=24,
        spacing=12,
        legend_at_bottom=True,
        legend_at_bottom_columns=3,
        show_minor_x_labels=False,
        truncate_label=-1,
        # No part of a token on the axis.
        order_min=0,
        value_formatter=lambda value: f"{value:,.0f}",
        title=title,
        x_title=f"day (UTC); due later: {schedule.later.total():,}",
        y_title="tokens due",
        no_data_text="no token is due in these days",
        style=_style(),
    )
    # A gap after what is overdue: it is no day, and the legend names it.
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
    # Nothing needs what is left of the script, and the comments name pygal's hosts.
    for parent in list(root.iter()):
        for node in list(parent):
            if node.tag in (etree.Comment, "script"):
                parent.remove(node)
    return bytes(etree.tostring(root, encoding="utf-8"))
