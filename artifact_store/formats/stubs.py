"""What lies where a file should be: pointers of git-lfs, error pages, nothing at all.

Recognised from the first bytes, before a format is asked, so that the message names the cause and not the symptom.
"""

from __future__ import annotations

import re

LOOK = 1024
"""Bytes that decide: a git-lfs pointer is shorter (its specification says so), and a page begins with its mark."""

_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!--.{0,200}?-->\s*)?<(?:!doctype\s+html|html)[\s>]", re.IGNORECASE | re.DOTALL
)
_XML_ERROR = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}\?>\s*)?<Error(?:Response)?[\s>]")
_XML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml\s")
_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")
_OID = re.compile(rb"\noid (sha256:[0-9a-f]{8})")


def stub(head: bytes, *, markup: bool = False) -> str:
    """What the file is instead of what its name says, "" where it may be that. head: its first LOOK bytes or more.

    markup: XML or HTML is what the name promises or allows; an error of a server is named all the same.
    """
    head = head[:LOOK]
    if head.startswith(b"version https://git-lfs"):
        oid = _OID.search(head)
        which = f" to {oid[1].decode()}…" if oid else ""
        return f"is a git-lfs pointer{which} and not the file itself: `git lfs pull` was not run before the upload"
    if _XML_ERROR.match(head):
        code = _CODE.search(head)
        which = f" ({code[1].decode()})" if code else ""
        return f"is an XML error of a server{which} and not the file itself: a failed download was uploaded"
    if markup:
        return ""
    if _HTML.match(head):
        return "is an HTML page and not the file itself: the page of a login or an error was uploaded"
    if _XML.match(head):
        return "is an XML document and not the file itself: the answer of a server was uploaded"
    return ""
