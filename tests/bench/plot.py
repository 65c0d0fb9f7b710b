"""Throughput and p99 against connections, as an SVG of its own: two panels, logarithmic axes, a line for each side."""

import math

WIDTH, HEIGHT, LEFT, TOP, GAP = 430, 300, 62, 44, 34
COLOURS = ("#555555", "#0b6e4f", "#54b689", "#b4431e", "#e39a6f", "#6a5acd", "#b0a6e8")
TICKS = [factor * 10**power for power in range(-2, 7) for factor in (1, 2, 5)]


def _scale(values, length, flip=False):
    """A function from a value to its place on a logarithmic axis that holds all values, and the ticks on it."""
    low, high = math.log(min(values)) - 0.15, math.log(max(values)) + 0.15

    def place(value):
        part = (math.log(value) - low) / (high - low)
        return round(length * (1 - part if flip else part), 1)

    return place, [tick for tick in TICKS if low <= math.log(tick) <= high]


def _text(x, y, text, more=""):
    return f'<text x="{x}" y="{y}" {more}>{text}</text>'


def _panel(title, lines, connections):
    """lines: (name, colour, {connections: value}).  Elements in the panel's own coordinates."""
    across, _ = _scale(connections, WIDTH)
    down, ticks = _scale([value for _, _, points in lines for value in points.values()], HEIGHT, flip=True)
    out = [_text(0, -14, title, 'font-weight="bold"'),
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>']
    for tick in ticks:
        out.append(f'<path d="M0 {down(tick)}H{WIDTH}" stroke="#ddd"/>')
        out.append(_text(-6, down(tick) + 4, f"{tick:g}", 'text-anchor="end"'))
    for count in connections:
        out.append(_text(across(count), HEIGHT + 16, count, 'text-anchor="middle"'))
    out.append(_text(WIDTH / 2, HEIGHT + 32, "connections", 'text-anchor="middle"'))
    for _, colour, points in lines:
        path = " ".join(f"{across(count)},{down(value)}" for count, value in sorted(points.items()))
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{across(count)}" cy="{down(value)}" r="3" fill="{colour}"/>' for count, value in points.items()]
    return out


def _legend(names):
    out = []
    for i, (name, colour) in enumerate(names):
        x, y = (i % 4) * 225, (i // 4) * 18
        out += [f'<path d="M{x} {y}h22" stroke="{colour}" stroke-width="3"/>', _text(x + 28, y + 4, name)]
    return out


def picture(rows):
    """rows: of guard.json.  The SVG's text."""
    series = {}
    for row in rows:
        name = row["side"] if not row["accounts"] else f"{row['side']}, {'one account' if row['accounts'] == 1 else 'many accounts'}"
        series.setdefault(name, []).append(row)
    connections = sorted({row["connections"] for row in rows})
    coloured = list(zip(series, COLOURS))
    width, height = 2 * (LEFT + WIDTH) + GAP, TOP + HEIGHT + 96
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/>']
    for place, (title, figure) in enumerate((("requests a second", "rate"), ("p99, ms", "p99_ms"))):
        lines = [(name, colour, {row["connections"]: max(row[figure], 0.01) for row in series[name]}) for name, colour in coloured]
        out.append(f'<g transform="translate({LEFT + place * (LEFT + WIDTH + GAP / 2)} {TOP})">')
        out += _panel(title, lines, connections) + ["</g>"]
    out += [f'<g transform="translate({LEFT} {TOP + HEIGHT + 58})">', *_legend(coloured), "</g>", "</svg>"]
    return "\n".join(out) + "\n"
