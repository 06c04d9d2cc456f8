"""Look at a page in headless chromium: what its console says, what it asks for, how it is laid out, how it prints."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path
from typing import Any

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
NO_BROWSER = "needs chromium, which is not installed"
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
TIMEOUT_S = 120
SMALLEST = 600
"""Narrower views are frames: windows are never that narrow."""
PROBE = """
<script>
addEventListener("load", () => {
  const root = document.documentElement, style = getComputedStyle(document.body);
  const seen = {
    width: innerWidth,
    content: Math.max(root.scrollWidth, document.body.scrollWidth),
    images: [...document.images].map(i => [i.complete, i.naturalWidth, i.naturalHeight, i.getBoundingClientRect().width, i.alt]),
    requests: [
      ...performance.getEntriesByType("resource").map(entry => entry.name),
      ...[...document.querySelectorAll("[src], link[href], object[data]")].map(e => e.src || e.href || e.data),
    ].filter(name => !name.startsWith("data:")),
    links: [...document.querySelectorAll("a[href]")].map(a => {
      const target = a.getAttribute("href").startsWith("#") && document.getElementById(a.getAttribute("href").slice(1));
      if (target) { a.click(); }
      return [a.getAttribute("href"), Boolean(target), location.hash, target ? target.getBoundingClientRect().top : null];
    }),
    colour: style.color,
    ground: style.backgroundColor,
    title: document.title,
    sections: document.querySelectorAll("section").length,
    fonts: parseFloat(style.fontSize),
  };
  if (parent === window) { document.body.innerHTML = "<pre id='seen'></pre>"; }
  parent.document.getElementById("seen").textContent = JSON.stringify(seen);
});
</script>
"""
FRAME = """<!DOCTYPE html><meta charset="utf-8"><body><pre id="seen"></pre>
<iframe srcdoc="PAGE" width="WIDTH" height="2000" style="border: 0"></iframe></body>"""


@dataclass(frozen=True)
class Seen:
    """What the browser saw.

    Attributes:
        width: Width of the view, pixels.
        content: Width that the content takes, pixels.
        images: Decoded, width and height in the file, width on the page, text instead.
        requests: Addresses that the page loads.
        links: Address, whether its target is on the page, the place shown after a click, the distance of the target from the top.
        colour: Colour of the text, rgb.
        ground: Colour of the ground, rgb.
        title: Title of the page.
        sections: Number of sections.
        fonts: Size of the text, pixels.
        console: Messages on the console.
    """

    width: int
    content: int
    images: list[tuple[bool, int, int, float, str]]
    requests: list[str]
    links: list[tuple[str, bool, str, float | None]]
    colour: str
    ground: str
    title: str
    sections: int
    fonts: float
    console: list[str]


def look(page: Path, folder: Path, *, width: int = 1280) -> Seen:
    """Open a page in a view of a given width and measure it.

    Args:
        page: The HTML file.
        folder: An empty folder for the browser's files.
        width: Width of the view, pixels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    probed = page.read_text(encoding="utf-8").replace("</body>", f"{PROBE}</body>")
    if width < SMALLEST:
        probed = FRAME.replace("WIDTH", str(width)).replace("PAGE", escape(probed))
    opened = folder / "probed.html"
    opened.write_text(probed, encoding="utf-8")
    done = browse(folder, "--dump-dom", f"--window-size={max(width, SMALLEST)},900", opened.as_uri())
    found = re.search(r'<pre id="seen">(\{.*?)</pre>', done.stdout, flags=re.DOTALL)
    if found is None:
        msg = f"the browser shows no measurement:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        raise RuntimeError(msg)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Seen(**json.loads(unescape(found[1])), console=console)


def screenshot(page: Path, picture: Path, folder: Path, *, width: int = 1280, height: int = 1600) -> Path:
    """Write a picture of the top of a page as the browser shows it."""
    browse(folder, f"--screenshot={picture}", f"--window-size={width},{height}", page.resolve().as_uri())
    return picture


def print_pdf(page: Path, pdf: Path, folder: Path) -> Path:
    """Print a page into a PDF file."""
    browse(folder, f"--print-to-pdf={pdf}", "--no-pdf-header-footer", page.resolve().as_uri())
    return pdf


def browse(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the browser with a profile of its own."""
    if BROWSER is None:
        raise RuntimeError(NO_BROWSER)
    folder.mkdir(parents=True, exist_ok=True)
    command = [BROWSER, *QUIET, "--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT_S)


def luminance(colour: str) -> float:
    """Return the relative luminance of `rgb(r, g, b)`, 0 black, 1 white (WCAG 2.2)."""
    parts: list[Any] = [int(x) / 255 for x in re.findall(r"\d+", colour)[:3]]
    r, g, b = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
    return float(0.2126 * r + 0.7152 * g + 0.0722 * b)
