"""The chart of a run as SVG: three panels, no library, no script, no font of its own.

It paints its own ground and follows the reader's choice of light or dark. Colours are Okabe and Ito's, which people with any
common form of colour blindness tell apart; nothing is told by colour alone.
"""

import math

from figures import Rounds
from report import bound_of, costs, thousands

WIDTH = 860
LEFT, RIGHT = 210, 96
STYLE = """
  text { font-family: system-ui, "DejaVu Sans", sans-serif; font-size: 12px; fill: #1f2328 }
  .ground { fill: #ffffff; stroke: #d0d7de }
  .title { font-size: 15px; font-weight: 600 }
  .note { fill: #59636e }
  .grid { stroke: #d8dee4; stroke-width: 1 }
  .axis { stroke: #59636e; stroke-width: 1 }
  .ours { fill: #0072b2; stroke: #0072b2 }
  .short { fill: url(#hatch); stroke: #0072b2; stroke-width: 1.5 }
  .hatch { stroke: #0072b2; stroke-width: 2 }
  .theirs { fill: #e69f00; stroke: #e69f00 }
  .limit { stroke: #1f2328; stroke-width: 2 }
  .limit-line { stroke: #1f2328; stroke-width: 1; stroke-dasharray: 2 3 }
  .goal { stroke: #1f2328; stroke-width: 2; stroke-dasharray: 3 2 }
  .line { fill: none; stroke-width: 2 }
  .mark { stroke: none }
  .s0 { stroke: #0072b2; fill: #0072b2 } .s1 { stroke: #d55e00; fill: #d55e00 } .s2 { stroke: #009e73; fill: #009e73 }
  .s3 { stroke: #cc79a7; fill: #cc79a7 } .s4 { stroke: #b38600; fill: #b38600 } .s5 { stroke: #6e7781; fill: #6e7781 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .ground { fill: #0d1117; stroke: #3d444d }
    .note { fill: #9198a1 }
    .grid { stroke: #2a313c }
    .axis { stroke: #9198a1 }
    .ours { fill: #3d9bd9; stroke: #3d9bd9 }
    .short { stroke: #3d9bd9 }
    .hatch { stroke: #3d9bd9 }
    .limit, .limit-line, .goal { stroke: #f0f6fc }
    .s0 { stroke: #3d9bd9; fill: #3d9bd9 } .s1 { stroke: #f08040; fill: #f08040 } .s2 { stroke: #2fc49b; fill: #2fc49b }
    .s3 { stroke: #e5a5c8; fill: #e5a5c8 } .s4 { stroke: #e6b800; fill: #e6b800 } .s5 { stroke: #aab3bd; fill: #aab3bd }
  }
"""


def escaped(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


class Drawing:
    """SVG elements, from the top down: each panel takes its height."""

    def __init__(self):
        self.parts, self.height = [], 14

    def add(self, name, content=None, **attributes):
        written = "".join(' %s="%s"' % (key.rstrip("_").replace("_", "-"), escaped(value)) for key, value in attributes.items())
        self.parts.append("<%s%s/>" % (name, written) if content is None else "<%s%s>%s</%s>" % (name, written, escaped(content), name))

    def text(self, x, y, content, anchor="start", style=""):
        more = {"class_": style} if style else {}
        self.add("text", content, x=number(x), y=number(y), text_anchor=anchor, **more)

    def line(self, x1, y1, x2, y2, style):
        self.add("line", x1=number(x1), y1=number(y1), x2=number(x2), y2=number(y2), class_=style)

    def bar(self, x, y, width, height, style):
        self.add("rect", x=number(x), y=number(y), width=number(max(0.5, width)), height=number(height), class_=style)

    def heading(self, title, note):
        """The top of a panel; what is below begins at `height`."""
        self.text(20, self.height + 18, title, style="title")
        self.text(20, self.height + 36, note, style="note")
        self.height += 52

    def document(self, title, description):
        return "\n".join([
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %s" width="%d" height="%s" role="img" aria-labelledby="t d">' % (
                WIDTH, number(self.height), WIDTH, number(self.height)),
            '<title id="t">%s</title>' % escaped(title),
            '<desc id="d">%s</desc>' % escaped(description),
            "<style>%s</style>" % STYLE,
            '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            '<line x1="1" y1="0" x2="1" y2="6" class="hatch"/></pattern></defs>',
            '<rect x="0.5" y="0.5" width="%d" height="%s" rx="6" class="ground"/>' % (WIDTH - 1, number(self.height - 1)),
            *self.parts, "</svg>", ""])  # fmt: skip


def number(value):
    """Without digits that nobody sees."""
    return ("%.1f" % value).removesuffix(".0")


def scale(low, high, begin, end, logarithmic=False):
    """A function from values to places; what lies outside is at the border."""
    if logarithmic:
        inner = scale(math.log10(low), math.log10(high), begin, end)
        return lambda value: inner(math.log10(max(value, low)))
    return lambda value: begin + (end - begin) * (min(max(value, low), high) - low) / (high - low)


def steps(high):
    """Round values from 0 to at least `high`, five to ten of them."""
    size = 10 ** math.floor(math.log10(high / 5))
    size = next(size * factor for factor in (1, 2, 5, 10) if high / (size * factor) <= 9)
    return [size * count for count in range(math.ceil(high / size - 1e-9) + 1)]


def decades(low, high):
    return [10**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def apart(places, distance):
    """The places moved as little as a simple rule can, so that each is `distance` from the next; in the order given."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = [places[index] for index in order]
    for _ in range(200):
        for low in range(len(moved) - 1):
            short = distance - (moved[low + 1] - moved[low])
            if short > 0:
                moved[low] -= short / 2
                moved[low + 1] += short / 2
    found = [0.0] * len(places)
    for index, place in zip(order, moved):
        found[index] = place
    return found


# --- Panels


def echo_panel(drawing, rows):
    drawing.heading(
        "Requests a second ÷ those of a C echo that does nothing else",
        "Bar: median of the rounds. Solid mark: floor. Dashed mark: goal. Hatched: below its floor.")  # fmt: skip
    ratios = [Rounds(row["rounds"]).ratio("coffer", "echo") for row in rows]
    marks = steps(max(1.0, *ratios))
    place = scale(0, marks[-1], LEFT, WIDTH - RIGHT)
    top, bottom = drawing.height, drawing.height + 26 * len(rows)
    for mark in marks:
        drawing.line(place(mark), top, place(mark), bottom, "axis" if mark == 0 else "grid")
        drawing.text(place(mark), bottom + 16, "%.1f" % mark, "middle", "note")
    for index, (row, ratio) in enumerate(zip(rows, ratios)):
        y, bound = top + 26 * index, bound_of(row["bound"])
        missed = bound is not None and bound.verdict(ratio) == "missed"
        drawing.text(LEFT - 10, y + 17, row["name"], "end")
        drawing.bar(LEFT, y + 5, place(ratio) - LEFT, 16, "short" if missed else "ours")
        if bound:
            drawing.line(place(bound.floor), y + 2, place(bound.floor), y + 24, "limit")
            drawing.line(place(bound.goal), y + 2, place(bound.goal), y + 24, "goal")
        drawing.text(WIDTH - 20, y + 18, "%.2f" % ratio, "end", "title")
    drawing.height = bottom + 36


def peer_panel(drawing, peer):
    rows = peer["rows"]
    drawing.heading(
        "Requests a second, beside an OpenHands agent server with the same 1,000 secrets",
        "Above: Coffer. Below: the agent server. Each step of the scale is ten times the one before.")  # fmt: skip
    pairs = [[Rounds(row["rounds"]).median(who, "rate") for who in ("coffer", "peer")] for row in rows]
    marks = decades(min(pair[1] for pair in pairs), max(pair[0] for pair in pairs))
    place = scale(marks[0], marks[-1], LEFT, WIDTH - RIGHT, logarithmic=True)
    top, bottom = drawing.height, drawing.height + 38 * len(rows)
    for mark in marks:
        drawing.line(place(mark), top, place(mark), bottom, "axis" if mark == marks[0] else "grid")
        drawing.text(place(mark), bottom + 16, thousands(mark), "middle", "note")
    for index, (row, (ours, theirs)) in enumerate(zip(rows, pairs)):
        y = top + 38 * index
        drawing.text(LEFT - 10, y + 23, row["name"], "end")
        for value, offset, style in ((ours, 5, "ours"), (theirs, 20, "theirs")):
            drawing.bar(LEFT, y + offset, place(value) - LEFT, 13, style)
            drawing.text(place(value) + 6, y + offset + 11, thousands(value))
        drawing.text(WIDTH - 20, y + 23, "× %s" % thousands(Rounds(row["rounds"]).ratio("coffer", "peer")), "end", "title")
    drawing.height = bottom + 36


MARKS = (
    ("circle", lambda x, y: {"cx": x, "cy": y, "r": "4"}),
    ("rect", lambda x, y: {"x": number(float(x) - 4), "y": number(float(y) - 4), "width": "8", "height": "8"}),
    ("polygon", lambda x, y: polygon(x, y, (0, -5.5), (5, 4), (-5, 4))),
    ("polygon", lambda x, y: polygon(x, y, (0, -5.5), (5.5, 0), (0, 5.5), (-5.5, 0))),
    ("polygon", lambda x, y: polygon(x, y, (0, 5.5), (5, -4), (-5, -4))),
    ("rect", lambda x, y: {"x": number(float(x) - 2), "y": number(float(y) - 6), "width": "4", "height": "12"}),
)


def polygon(x, y, *corners):
    return {"points": " ".join("%s,%s" % (number(float(x) + dx), number(float(y) + dy)) for dx, dy in corners)}


def growth_panel(drawing, rows):
    sizes = [size for size, _ in costs(rows[0])]
    drawing.heading(
        "What a request costs ÷ what it costs with %s secrets stored" % thousands(sizes[0]),
        "1 is no growth. Dotted: the floors for GET (1.3) and PUT (2) at a million.")  # fmt: skip
    lines = [(row["name"], costs(row)) for row in rows]
    every = [cost for _, line in lines for _, cost in line]
    marks = steps(max(2.2, *every))
    top, bottom = drawing.height, drawing.height + 240
    begin, end = 70, WIDTH - 220
    across, up = scale(sizes[0], sizes[-1], begin, end, logarithmic=True), scale(0, marks[-1], bottom, top)
    for mark in marks:
        drawing.line(begin, up(mark), end, up(mark), "axis" if mark == 0 else "grid")
        drawing.text(begin - 8, up(mark) + 4, "%g" % round(mark, 6), "end", "note")
    for limit in (1.3, 2.0):
        drawing.line(begin, up(limit), end, up(limit), "limit-line")
    for size in sizes:
        drawing.text(across(size), bottom + 18, thousands(size), "middle", "note")
    drawing.text((begin + end) / 2, bottom + 36, "secrets stored", "middle", "note")
    heights = apart([up(line[-1][1]) for _, line in lines], 16)
    for index, ((name, line), height) in enumerate(zip(lines, heights)):
        style = "s%d" % (index % 6)
        points = [(number(across(size)), number(up(cost))) for size, cost in line]
        drawing.add("polyline", points=" ".join("%s,%s" % point for point in points), class_=style + " line", style="fill: none")
        shape, attributes = MARKS[index % len(MARKS)]
        for x, y in points:
            drawing.add(shape, **attributes(x, y), class_=style + " mark")
        drawing.add(shape, **attributes(number(end + 16), number(height)), class_=style + " mark")
        drawing.text(end + 26, height + 4, "%s: %.2f" % (name, line[-1][1]))
    drawing.height = bottom + 54


def chart(result):
    """The SVG of what was measured, with a description in words for who cannot see it."""
    drawing, said = Drawing(), []
    if result.get("rows"):
        rows = [row for row in result["rows"] if row["bound"]]
        echo_panel(drawing, rows)
        said.append("To a C echo: " + "; ".join("%s %.2f" % (row["name"], Rounds(row["rounds"]).ratio("coffer", "echo")) for row in rows) + ".")
    if result.get("peer"):
        peer_panel(drawing, result["peer"])
        said.append("To an OpenHands agent server: " + "; ".join(
            "%s %.0f times" % (row["name"], Rounds(row["rounds"]).ratio("coffer", "peer")) for row in result["peer"]["rows"]) + ".")  # fmt: skip
    if result.get("growth") and result["growth"]["rows"]:
        rows = result["growth"]["rows"]
        growth_panel(drawing, rows)
        said.append("Cost at %s secrets by the cost at %s: " % (thousands(costs(rows[0])[-1][0]), thousands(costs(rows[0])[0][0])) + "; ".join(
            "%s %.2f" % (row["name"], costs(row)[-1][1]) for row in rows) + ".")  # fmt: skip
    return drawing.document("Coffer's benchmarks", " ".join(said))
