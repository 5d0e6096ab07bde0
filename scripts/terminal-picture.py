"""Draws what a terminal shows, from standard input, as the SVG that is named by the argument."""

import io
import re
import sys

from rich.console import Console
from rich.text import Text

WIDTH = 112

console = Console(record=True, width=WIDTH, file=io.StringIO(), highlight=False)
for line in sys.stdin.read().strip().splitlines():
    indent = re.match(r" *", line)[0]
    text = Text(line[len(indent) :])
    if re.match(r"\$ |postgres=>", line):
        text.stylize("bold")
    text.highlight_regex(r"\b(LOG|DETAIL|HINT|FATAL):", "cyan")
    text.highlight_regex(r"reason=\w+|code: \S+", "bold yellow")
    text.highlight_regex(r"oauth:\w+", "bold green")
    # Long lines of the log go on below, as a terminal's do, but between words.
    for piece in text.wrap(console, WIDTH - len(indent) - 2) or [text]:
        console.print(Text(indent) + piece, no_wrap=True)
svg = console.export_svg(title="make demo", unique_id="session")
# A picture that fetches no fonts.
svg = re.sub(r"\s*@font-face \{[^}]*\}", "", svg).replace("Fira Code, monospace", "monospace")
with open(sys.argv[1], "w", encoding="utf-8") as file:
    file.write(svg)
