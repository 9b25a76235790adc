"""The body of a release as it is stored: its JSON, or, where that is large, the JSON deflated.

A release of a million cells has 200 MiB of JSON, and a database copies a value several times while it takes or gives
it. So a large body is deflated while it is written, and inflated while it is sent, a piece at a time: neither ever
holds all of it. What a release's signature covers is the body as it is stored. Which of the two it is, its first byte
tells: JSON begins with "{", and what zlib makes with "x". Noise was drawn before; how well its numbers are deflated
depends on nothing else.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

PIECE = 2**20
"""Bytes that are deflated or inflated at once; a body of so many is large."""
READ = 2**16
"""Bytes of a deflated body that are looked at in one go."""
LEVEL = 1
"""zlib's quickest: 80 MB/s here, to 30 % of the size; the slowest makes 24 %."""
_PACKED = b"\x78"


def is_packed(stored: bytes) -> bool:
    """Whether a stored body is deflated."""
    return stored[:1] == _PACKED


def packed(texts: Iterable[bytes]) -> bytes:
    """The body to be stored of a JSON object that comes in pieces; they are deflated while the next is written."""
    pieces = _gathered(texts)
    first = next(pieces, b"")
    if len(first) < PIECE:
        return first
    body, deflate = BytesIO(), zlib.compressobj(LEVEL)
    with ThreadPoolExecutor(1, thread_name_prefix="dpstats-pack") as beside:
        before = beside.submit(deflate.compress, first)
        for piece in pieces:
            body.write(before.result())
            before = beside.submit(deflate.compress, piece)
        body.write(before.result())
    body.write(deflate.flush())
    return body.getvalue()


def _gathered(texts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of at least `PIECE`, but for the last."""
    gathered = BytesIO()
    for text in texts:
        gathered.write(text)
        if gathered.tell() >= PIECE:
            yield gathered.getvalue()
            gathered = BytesIO()
    if gathered.tell():
        yield gathered.getvalue()


def unpacked(stored: bytes) -> Iterator[bytes]:
    """The JSON of a stored body, whole where it was not deflated, else in pieces of at most `PIECE`.

    Raises:
      ValueError: it was cut short or changed.
    """
    if not is_packed(stored):
        yield stored
        return
    inflate = zlib.decompressobj()
    try:
        for at in range(0, len(stored), READ):
            yield from _inflated(inflate, stored[at : at + READ])
    except zlib.error:
        raise ValueError("a stored release cannot be read") from None
    if not inflate.eof or inflate.unused_data:
        raise ValueError("a stored release was cut short, or added to")


def _inflated(inflate: zlib._Decompress, some: bytes) -> Iterator[bytes]:
    """What some bytes more say, until nothing is left of them."""
    while piece := inflate.decompress(some, PIECE):
        yield piece
        some = inflate.unconsumed_tail
