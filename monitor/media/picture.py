"""A picture's pixels: decoded within bounds, turned upright, laid on a plain ground, cut where it is very long."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from monitor.media.limits import MOST_PIXELS, Budget, Unreadable

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
LONGEST_SIDE = 2_400  # larger pictures are scaled down: the recognition gains nothing
NARROW_SIDE = 1_200  # of a picture that is cut into pieces
SLIM = 2.5  # longer than this many times its width, a picture is cut: a screenshot that was scrolled
OVERLAP = 80
MOST_FRAMES_SEEN = 200
FRAMES = 5
SAME_FRAME = 12  # the largest difference of two thumbnails, of 255


def read(data: bytes, budget: Budget) -> str:
    """Return the lines on a picture, of up to five different frames. Raises Unreadable."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return unique_lines(lines_on(frame, budget) for frame in _frames(image))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise Unreadable(f"the picture cannot be decoded ({type(error).__name__})") from None


def unique_lines(texts: Iterator[str]) -> str:
    """Return the lines of several texts, each once: frames and pieces repeat what they share."""
    return "\n".join(dict.fromkeys(line for text in texts for line in text.splitlines()))


def lines_on(image: Any, budget: Budget) -> str:
    """Return the lines on a decoded picture, or nothing when the budget is used up."""
    from monitor.media import recognise  # numpy takes as long to import as all of ours

    pieces = (piece for piece in _pieces(_plain(image)) if budget.picture())
    return unique_lines("\n".join(recognise.lines(piece)) for piece in pieces)


def _frames(image: Any) -> Iterator[Any]:
    if image.width * image.height > MOST_PIXELS:
        raise Unreadable("the picture has too many pixels")
    image.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
    count = min(getattr(image, "n_frames", 1), MOST_FRAMES_SEEN)
    last = None
    for number in sorted({round(step * (count - 1) / (FRAMES - 1)) for step in range(FRAMES)}):
        image.seek(number)
        if image.width * image.height > MOST_PIXELS:
            raise Unreadable("the picture has too many pixels")
        small = image.convert("L").resize((128, 128))
        if last is None or _difference(small, last) > SAME_FRAME:
            last = small
            yield image.copy()


def _difference(one: Any, other: Any) -> int:
    from PIL import ImageChops

    return int(max(ImageChops.difference(one, other).tobytes()))


def _plain(image: Any) -> Any:
    """Return the picture upright and without transparency: light marks on black, all others on white."""
    from PIL import Image, ImageOps, ImageStat

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        image = image.point(lambda value: value / 256)  # 16 bits a pixel
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    image = image.convert("RGBA")
    seen = image.getchannel("A")
    light = ImageStat.Stat(image.convert("L"), mask=seen.point(lambda value: 255 * (value > 128))).mean[0] > 150
    ground = Image.new("RGB", image.size, "black" if light else "white")
    ground.paste(image, mask=seen)
    return ground


def _pieces(image: Any) -> Iterator[Any]:
    long, short = max(image.size), min(image.size)
    if long <= SLIM * short or long <= LONGEST_SIDE:
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        yield image
        return
    image.thumbnail((NARROW_SIDE, long) if image.height > image.width else (long, NARROW_SIDE))
    step = round(min(image.size) * 1.5)
    for start in range(0, max(image.size) - OVERLAP, step):
        end = start + step + OVERLAP
        yield image.crop(
            (0, start, image.width, min(end, image.height))
            if image.height > image.width
            else (start, 0, min(end, image.width), image.height)
        )
