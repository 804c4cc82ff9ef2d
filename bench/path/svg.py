"""Two kinds of plot as SVG, written by hand: bars side by side, and lines over a logarithmic axis. Colours are told apart in grey too;
a white ground, so that they show on dark pages."""
import math
from xml.sax.saxutils import escape

COLOURS = ("#0b5394", "#e69138", "#6aa84f", "#a64d79", "#7f7f7f")
FONT = 'font-family="sans-serif" fill="#222"'
WIDTH, HEIGHT = 760, 360
LEFT, RIGHT, TOP, BOTTOM = 76, 20, 58, 64  # margins


def _text(x, y, text, anchor="start", size=12, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" {FONT}{more}>{escape(text)}</text>'


def _line(x1, y1, x2, y2, colour="#ccc", width=1):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def _page(title, parts, note):
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">'
            f'<title>{escape(title)}</title><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>')
    return "\n".join([head, _text(16, 24, title, size=15, more=' font-weight="bold"'), *parts,
                      _text(16, HEIGHT - 8, note, size=10), "</svg>\n"])


def _legend(names):
    parts, x = [], LEFT
    for index, name in enumerate(names):
        parts.append(f'<rect x="{x}" y="36" width="11" height="11" fill="{COLOURS[index % len(COLOURS)]}"/>')
        parts.append(_text(x + 16, 46, name))
        x += 28 + 7 * len(name)
    return parts


def nice_ceiling(value):
    """The next of 1, 1.25, 2, 2.5, 5, 10 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.25, 2, 2.5, 5, 10) if step * power >= value * 0.9999)


def bars(title, groups, series, unit, note="", labels=None):
    """`groups`: names along the bottom. `series`: {name: [one value a group, or None]}. `labels`: what stands over a bar of the last
    series, one a group."""
    top = nice_ceiling(max(v for values in series.values() for v in values if v is not None))
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    parts = _legend(series)
    for tick in range(6):
        y = TOP + high * (1 - tick / 5)
        parts += [_line(LEFT, y, WIDTH - RIGHT, y), _text(LEFT - 6, y + 4, f"{top * tick / 5:g}", "end", 11)]
    parts.append(_text(16, TOP - 4, unit, size=11) if not series else _text(LEFT - 6, TOP - 8, unit, "end", 11))
    for place, group in enumerate(groups):
        room = wide / len(groups)
        width = room * 0.7 / len(series)
        for index, values in enumerate(series.values()):
            value = values[place]
            if value is None:
                continue
            x, tall = LEFT + room * place + room * 0.15 + width * index, high * value / top
            parts.append(f'<rect x="{x:.1f}" y="{TOP + high - tall:.1f}" width="{width * 0.92:.1f}" height="{tall:.1f}" '
                         f'fill="{COLOURS[index % len(COLOURS)]}"/>')
            label = labels[place] if labels and index == len(series) - 1 else f"{value:.3g}"
            parts.append(_text(x + width * 0.46, TOP + high - tall - 4, label, "middle", 10))
        parts.append(_text(LEFT + room * (place + 0.5), HEIGHT - BOTTOM + 18, group, "middle"))
    parts.append(_line(LEFT, TOP + high, WIDTH - RIGHT, TOP + high, "#222"))
    return _page(title, parts, note)


def lines(title, places, series, unit, note="", breaks=()):
    """`places`: names along the bottom. `series`: {name: [positive values]}. The axis is logarithmic, whole powers of ten. `breaks`:
    places before which lines begin anew."""
    values = [v for points in series.values() for v in points if v]
    low = math.floor(math.log10(min(values)))
    top = max(math.ceil(math.log10(max(values))), low + 1)
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(value):
        return TOP + high * (1 - (math.log10(value) - low) / (top - low))

    parts = _legend(series)
    for power in range(low, top + 1):
        y = at(10 ** power)
        parts += [_line(LEFT, y, WIDTH - RIGHT, y), _text(LEFT - 6, y + 4, f"{10 ** power:,g}", "end", 11)]
    parts.append(_text(LEFT - 6, TOP - 8, unit, "end", 11))
    middles = [LEFT + wide * (place + 0.5) / len(places) for place in range(len(places))]
    for index, points in enumerate(series.values()):
        colour = COLOURS[index % len(COLOURS)]
        edges = [0, *breaks, len(places)]
        for start, end in zip(edges, edges[1:]):
            drawn = [(x, at(value)) for x, value in zip(middles[start:end], points[start:end]) if value]
            points_text = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
            parts.append(f'<polyline points="{points_text}" fill="none" stroke="{colour}" stroke-width="2"/>')
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in drawn]
    parts += [_text(x, HEIGHT - BOTTOM + 18, place, "middle", 11) for x, place in zip(middles, places)]
    parts.append(_line(LEFT, TOP + high, WIDTH - RIGHT, TOP + high, "#222"))
    return _page(title, parts, note)
