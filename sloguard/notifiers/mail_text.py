"""A notice as text and as HTML, for mail. Readable where pictures and colours are not shown."""

from __future__ import annotations

import functools
from typing import Any

from sloguard.core.visible import visible
from sloguard.notifiers.base import Notice, Picture

_COLOURS = {"good": "#1a7f4b", "bad": "#b3261e", "warning": "#8a5a00", "info": "#1f5fa8"}

# Mail programs know tables and styles of single elements, and little else.
_HTML = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light"><title>{{ n.headline }}</title></head>
<body style="margin:0;padding:16px;background:#f4f5f7;color:#1c2126;\
font:15px/1.5 -apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:720px;\
margin:0 auto;background:#ffffff;border:1px solid #d9dde2;border-left:6px solid {{ colour }}">
<tr><td style="padding:20px 24px">
<h1 style="margin:0 0 12px;font-size:20px;line-height:1.35;color:{{ colour }}">{{ n.headline }}</h1>
{% for line in because %}<p style="margin:0 0 10px">{{ line }}</p>
{% endfor %}\
{% for left in n.left %}<p style="margin:12px 0 4px"><strong>Still there: {{ left.fault }} on \
{{ left.target }}</strong>{% if left.detail %}<br>{{ left.detail }}{% endif %}</p>
{% if left.by_hand %}<pre style="margin:0 0 12px;padding:10px;background:#f4f5f7;border:1px solid #d9dde2;\
white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.45 ui-monospace,Consolas,monospace">\
{{ left.by_hand }}</pre>
{% endif %}{% endfor %}\
{% if n.action %}<p style="margin:12px 0"><strong>To do:</strong> {{ n.action }}</p>
{% endif %}\
{% if chart %}<p style="margin:16px 0"><img src="{{ chart }}" alt="{{ alt }}" width="672" \
style="display:block;width:100%;max-width:672px;height:auto;border:1px solid #d9dde2"></p>
{% endif %}\
{% if n.facts %}<table cellpadding="0" cellspacing="0" style="margin:12px 0;border-collapse:collapse">
{% for name, value in n.facts %}<tr><th scope="row" style="text-align:left;vertical-align:top;\
padding:3px 16px 3px 0;font-weight:normal;color:#5a6470;white-space:nowrap">{{ name }}</th>\
<td style="padding:3px 0;overflow-wrap:anywhere">{{ value }}</td></tr>
{% endfor %}</table>
{% endif %}\
{% if n.link %}<p style="margin:16px 0"><a href="{{ n.link }}" style="display:inline-block;padding:9px 18px;\
background:{{ colour }};color:#ffffff;text-decoration:none">Open</a></p>
{% endif %}\
{% if about %}<p style="margin:16px 0 0;font-size:13px;color:#5a6470">{{ about }}</p>
{% endif %}\
</td></tr></table>
</body>
</html>
"""


@functools.cache
def _template() -> Any:
    from jinja2 import Environment

    return Environment(autoescape=True).from_string(_HTML)


def html_of(notice: Notice, chart: str, picture: Picture | None) -> str:
    """The HTML; ``chart``: where its picture is, or empty. All texts are escaped."""
    link = notice.link if notice.link.startswith(("http://", "https://")) else ""
    made: str = _template().render(
        n=notice if link == notice.link else _without_link(notice),
        colour=_COLOURS.get(notice.tone, _COLOURS["info"]),
        because=notice.because.splitlines(),
        chart=chart,
        alt=picture.alt if picture is not None else "",
        about=_about(notice),
    )
    return made


def text_of(notice: Notice) -> str:
    """The same as plain text; ends with a newline."""
    parts = [notice.headline, notice.because]
    for left in notice.left:
        told = f"Still there: {left.fault} on {left.target}"
        by_hand = f"Undo it by hand:\n\n    {left.by_hand}" if left.by_hand else ""
        parts.append("\n".join(filter(None, (told, left.detail, by_hand))))
    parts.append(notice.action and f"To do: {notice.action}")
    width = max((len(name) for name, _ in notice.facts), default=0)
    parts.append("\n".join(f"{name.ljust(width)}  {value}" for name, value in notice.facts))
    parts += [notice.link, _about(notice)]
    return "\n\n".join(_lines(part) for part in parts if part) + "\n"


def _about(notice: Notice) -> str:
    return " · ".join(filter(None, (notice.experiment, notice.run and f"run {notice.run}")))


def _without_link(notice: Notice) -> Notice:
    from dataclasses import replace

    return replace(notice, link="")


def _lines(text: str) -> str:
    """Line by line without control characters, which a terminal would obey."""
    return "\n".join(visible(line) for line in text.splitlines())
