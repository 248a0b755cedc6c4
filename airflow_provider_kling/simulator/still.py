"""Draws the one picture of a shot: its prompt in big letters on its own colour."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Neighbours differ clearly in brightness and hue, and white letters can be read on all of them.
COLOURS = ("#123c69", "#8c3b1f", "#1e5631", "#6a1b6b", "#7a6a10", "#0f6b6b", "#8a1c3c", "#3b3b8f")
INK, FAINT, TRACK = "#ffffff", "#d8dee6", "#10141a"
# For what the built-in font lacks; looked for by name in the system's font folders.
SYSTEM_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "NotoSansSC-Regular.otf",
    "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf",
    "PingFang.ttc",
    "msyh.ttc",
    "Arial Unicode.ttf",
    "DejaVuSans.ttf",
)
NO_CHARACTER = "\U0010fffe"


def bar_of(width: int, height: int) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the progress bar.

    :param width: of the picture, in pixels.
    :param height: of the picture, in pixels.
    """
    margin = min(width, height) // 18
    thick = max(2, min(width, height) // 60)
    return margin, height - margin - thick, width - margin, height - margin


def draw_still(width: int, height: int, prompt: str, index: int, shots: int) -> Image.Image:
    """Return the picture of one shot.

    :param width: in pixels.
    :param height: in pixels.
    :param prompt: the text to write.
    :param index: the number of the shot, from 0.
    :param shots: how many there are.
    """
    picture = Image.new("RGB", (width, height), COLOURS[index % len(COLOURS)])
    draw = ImageDraw.Draw(picture)
    short = min(width, height)
    margin = short // 18
    label = _font("", short // 22)
    draw.text((margin, margin), f"shot {index + 1} of {shots}", fill=FAINT, font=label)
    draw.text((width - margin, margin), "SIMULATED", fill=FAINT, font=label, anchor="ra")
    left, top, right, bottom = bar_of(width, height)
    draw.rectangle((left, top, right - 1, bottom - 1), fill=TRACK)
    text = prompt.encode("utf-8", "replace").decode()  # lone surrogates cannot be drawn
    box = (width - 2 * margin, top - 4 * margin)
    size, lines = _fit(text, *box, largest=short // 9)
    draw.multiline_text(
        (margin, margin * 5 // 2),
        "\n".join(lines),
        fill=INK,
        font=_font(text, size),
        spacing=size // 4,
    )
    return picture


def _fit(text: str, width: int, height: int, *, largest: int) -> tuple[int, list[str]]:
    # Begin where the letters would just cover the box; trying every size takes a second for a long text.
    length = max(1, sum(_font(text, largest).getlength(line) for line in text.splitlines()))
    covering = largest * math.sqrt(width * height / (length * largest * 3 / 2))
    size = min(largest, int(covering) + 1)
    while True:
        lines = _wrap(text, _font(text, size), width)
        # A line takes 1.25 of the letters' size plus the spacing of a quarter.
        if len(lines) * size * 3 // 2 <= height or size <= 6:
            return size, lines
        size = max(6, size * 5 // 6)


def _wrap(text: str, font: Font, width: int) -> list[str]:
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            if font.getlength(f"{line} {word}") <= width:
                line = f"{line} {word}".strip()
                continue
            lines += [line] if line else []
            line = ""
            for character in word:  # a word of one line or more, as in languages without spaces
                if line and font.getlength(line + character) > width:
                    lines.append(line)
                    line = ""
                line += character
        lines.append(line)
    return lines


def _font(text: str, size: int) -> Font:
    return _sized(_face(frozenset(text) - frozenset("\n\r\t ")), max(6, size))


@lru_cache(maxsize=64)
def _sized(face: str | None, size: int) -> Font:
    return ImageFont.load_default(size) if face is None else ImageFont.truetype(face, size)


@lru_cache(maxsize=256)
def _face(characters: frozenset[str]) -> str | None:
    """Return the font that lacks the fewest characters; None is the built-in one."""
    best, fewest = None, _lacking(_sized(None, 20), characters)
    for face in SYSTEM_FONTS:
        if not fewest:
            break
        try:
            lacking = _lacking(_sized(face, 20), characters)
        except OSError:  # not on this machine
            continue
        if lacking < fewest:
            best, fewest = face, lacking
    return best


def _lacking(font: Font, characters: frozenset[str]) -> int:
    box = bytes(font.getmask(NO_CHARACTER))
    return sum(bytes(font.getmask(character)) == box for character in characters)
