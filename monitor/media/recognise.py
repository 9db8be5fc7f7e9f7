"""Lines of text in pixels, in reading order, whatever way the page lies.

The models of RapidOCR find and read pieces of text; what it adds around them loses too much, and is done here:
- spaces: the recognition model drops the space between two words in capitals, yet never quite forgets it. Where it saw
  one with even 2 % between two letters, there is one; inside a word it is below 0.5 % (measured on tests/data/media);
- slant: a piece is cut out along its own angle. A page that lies aslant as a whole is turned straight and read again;
- upside down: the page decides by a vote, a piece that then reads badly is tried the other way;
- rows: pieces on one line along the page's angle are one line of text: a table's row, a label and its value;
- stamps: a stamp or watermark across typed lines is lost among them. Where a page has some lines, strokes as thin as
  those of its type are wiped away, and what is left is read once more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from monitor.media.layout import LENGTHWISE, Piece, apart, page_angle, rows, same_place

DETECTION_PIXELS = 1_300_000  # pieces are found on a copy of this size, and cut out of the whole picture
SMALL_PIXELS = 500_000  # smaller pictures are scaled up
MOST_ENLARGED = 3.0
SLANTED = 12.0  # degrees off the straight from which a page is turned and looked at again
SURE = 0.75  # a piece that scores less is also read upside down
SCORE = 0.5
SPACE = 0.015
WIDEST = 60.0  # times the height
BATCH = 6
MOST_PIECES = 250
STAMP_PIXELS = 700_000
STAMP_SCORE = 0.8
TYPED_LINES = 5  # from which a page may have a stamp across its lines
STROKE = 0.26  # of a line's height: thicker than the strokes of its letters


def lines(image: Any) -> list[str]:
    """Return the lines of text on an RGB picture (PIL), from top to bottom."""
    import cv2

    pixels = np.asarray(image)[:, :, ::-1]  # the models were trained on BGR
    factor = min(MOST_ENLARGED, math.sqrt(SMALL_PIXELS / (pixels.shape[0] * pixels.shape[1])))
    if factor > 1:
        pixels = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    pieces = _find(pixels)
    if not pieces:
        pixels = _stronger(pixels)
        pieces = _find(pixels)
    angle = page_angle(pieces)
    slant = (angle + 45) % 90 - 45
    if abs(slant) > SLANTED:
        pixels = _turned(pixels, slant)
        pieces = _find(pixels) or pieces
        angle = page_angle(pieces)
    read, angle = _read(pixels, pieces, angle)
    found = rows([(piece, text) for piece, text, _ in read], angle)
    return found + [words for words in _stamps(pixels, read, angle) if not any(words in line for line in found)]


@cache
def _models() -> Any:
    """Return detection, direction and recognition, loaded once: it takes 100 MB."""
    from rapidocr_onnxruntime import RapidOCR

    models = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)
    models.text_det.limit_side_len = 32  # else a flat banner is blown up until it is 736 pixels high
    return models


def _find(pixels: Any) -> list[Piece]:
    import cv2

    high, wide = pixels.shape[:2]
    scale = min(1.0, math.sqrt(DETECTION_PIXELS / (high * wide)))
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else pixels
    boxes, _ = _models().text_det(np.ascontiguousarray(small))
    pieces = [_piece(box / scale) for box in boxes] if boxes is not None else []
    return sorted(pieces, key=lambda piece: -piece.length * piece.height)[:MOST_PIECES]


def _piece(corners: Any) -> Piece:
    import cv2

    (x, y), (wide, high), angle = cv2.minAreaRect(np.asarray(corners, dtype=np.float32))
    if wide < high:
        wide, high, angle = high, wide, angle + 90
    return Piece(x=x, y=y, length=wide, height=max(high, 1.0), angle=(angle + 90) % 180 - 90)


def _stronger(pixels: Any) -> Any:
    """Return the picture in grey with its contrast raised piece by piece: faint pencil, a shadow over the page."""
    import cv2

    grey = cv2.createCLAHE(clipLimit=4.0, tileGridSize=(8, 8)).apply(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY))
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)


def _turned(pixels: Any, angle: float) -> Any:
    import cv2

    high, wide = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D((wide / 2, high / 2), angle, 1.0)
    cos, sin = abs(turn[0, 0]), abs(turn[0, 1])
    new_wide, new_high = int(high * sin + wide * cos), int(high * cos + wide * sin)
    turn[:, 2] += ((new_wide - wide) / 2, (new_high - high) / 2)
    return cv2.warpAffine(pixels, turn, (new_wide, new_high), borderMode=cv2.BORDER_REPLICATE)


def _stamps(pixels: Any, read: Sequence[tuple[Piece, str, float]], page: float) -> list[str]:
    """Return what is written across the lines in thicker strokes, unless it was read as well before."""
    if len(read) < TYPED_LINES:
        return []
    line = float(np.median([piece.height for piece, _, _ in read]))
    bare, scale = _without_thin_strokes(pixels, STROKE * line)
    pieces = [piece for piece in _find(bare) if piece.height > 1.2 * line * scale]
    cuts = [_cut(bare, piece, page) for piece in pieces]
    upright, turned = _recognised(cuts), _recognised([cut[::-1, ::-1] for cut in cuts])
    better = []
    for piece, *both in zip(pieces, upright, turned, strict=True):
        text, score = max(both, key=lambda one: one[1])
        before = [known for other, _, known in read if same_place(piece.scaled(1 / scale), other)]
        if score > max([STAMP_SCORE, *before]) and len(text) >= 4:
            better.append(text)
    return list(dict.fromkeys(better))


def _without_thin_strokes(pixels: Any, thickness: float) -> tuple[Any, float]:
    """Return a smaller picture, evenly lit, on which only strokes thicker than that are left; and its scale."""
    import cv2

    scale = min(1.0, math.sqrt(STAMP_PIXELS / (pixels.shape[0] * pixels.shape[1])))
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    tiny = cv2.resize(grey, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    light = cv2.GaussianBlur(cv2.dilate(tiny, np.ones((9, 9), np.uint8)), (0, 0), 4)
    size = max(3, round(thickness * scale))
    bare = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    bare = bare / (cv2.resize(light, (grey.shape[1], grey.shape[0])).astype(np.float32) + 1)
    darkest = float(np.percentile(bare, 0.5))
    bare = np.clip((bare - darkest) / max(1 - darkest, 0.12), 0, 1) * 255
    return cv2.cvtColor(bare.astype(np.uint8), cv2.COLOR_GRAY2BGR), scale


def _cut(pixels: Any, piece: Piece, page: float) -> Any:
    """Return the piece's own pixels, its line lying straight; a short piece lies as its page does."""
    import cv2

    angle, length, height = piece.angle, piece.length, piece.height
    if length < LENGTHWISE * height and abs(apart(angle, page)) > 45:
        angle, length, height = angle + 90, height, length
    angle = page + apart(angle, page)
    along = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
    down = np.array([-along[1], along[0]])
    middle = np.array([piece.x, piece.y])
    corner = middle - along * length / 2 - down * height / 2
    three = np.array([corner, corner + along * length, corner + down * height], dtype=np.float32)
    straight = np.array([[0, 0], [length, 0], [0, height]], dtype=np.float32)
    size = (max(4, round(length)), max(4, round(height)))
    return cv2.warpAffine(
        pixels, cv2.getAffineTransform(three, straight), size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def _read(pixels: Any, pieces: Sequence[Piece], page: float) -> tuple[list[tuple[Piece, str, float]], float]:
    """Return (piece, text, score) of what can be read, and the angle at which the page stands upright."""
    if not pieces:
        return [], page
    cuts = [_cut(pixels, piece, page) for piece in pieces]
    if _upside_down(pieces, cuts):
        page += 180
        cuts = [cut[::-1, ::-1] for cut in cuts]
    texts = _recognised(cuts)
    doubtful = [number for number, (_, score) in enumerate(texts) if score < SURE]
    for number, other in zip(doubtful, _recognised([cuts[n][::-1, ::-1] for n in doubtful]), strict=True):
        texts[number] = max(texts[number], other, key=lambda read: read[1])
    read = [(piece, text, score) for piece, (text, score) in zip(pieces, texts, strict=True)]
    return [one for one in read if one[1] and one[2] >= SCORE], page


def _upside_down(pieces: Sequence[Piece], cuts: Sequence[Any]) -> bool:
    """Let the longest pieces vote: each alone errs now and then."""
    voters = sorted(range(len(pieces)), key=lambda n: -pieces[n].length)[:12]
    _, votes, _ = _models().text_cls([np.ascontiguousarray(cuts[n]) for n in voters])
    return sum((float(score) if label == "180" else -float(score)) for label, score in votes) > 0


def _recognised(cuts: Sequence[Any]) -> list[tuple[str, float]]:
    """Return (text, score) of each cut, its spaces restored."""
    model = _models().text_rec
    shapes = [min(WIDEST, cut.shape[1] / cut.shape[0]) for cut in cuts]
    order = sorted(range(len(cuts)), key=lambda n: shapes[n])
    found: list[tuple[str, float]] = [("", 0.0)] * len(cuts)
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        widest = max(2.0, *(shapes[n] for n in batch))
        images = np.stack([model.resize_norm_img(np.ascontiguousarray(cuts[n]), widest) for n in batch])
        for n, likely in zip(batch, model.session(images)[0], strict=True):
            found[n] = spaced(likely, model.postprocess_op.character)
    return found


def spaced(likely: Any, letters: Sequence[str]) -> tuple[str, float]:
    """Decode one line: `likely` gives each step's probability of each letter; 0 is "no letter", the last a space."""
    best = likely.argmax(axis=1)
    space = likely[:, len(letters) - 1]
    text: list[str] = []
    scores: list[float] = []
    last = -1
    for step, letter in enumerate(best):
        if letter == 0 or (step and letter == best[step - 1]):
            continue
        if 0 <= last < step - 1 and space[last + 1 : step].max() >= SPACE:
            text.append(" ")
        text.append(letters[letter])
        scores.append(float(likely[step, letter]))
        last = step
    return " ".join("".join(text).split()), float(np.mean(scores)) if scores else 0.0
