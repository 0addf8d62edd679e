"""What form of picture a file has, told by how it begins: those that are not read are refused by
what they are.
"""

import re
from typing import Final

_BEGINNINGS: Final = {
    # DICOM may begin as a TIFF does (PS3.10 7.1): cut within its preamble it is neither
    re.compile(rb"(?:II[*+]\0|MM\0[*+]).{128}", re.DOTALL): "a TIFF",
    re.compile(rb"\x89PNG\r\n\x1a\n"): "a PNG that is not named .png",
    re.compile(rb"\xff\xd8\xff"): "a JPEG that is not named .jpg",
    re.compile(rb"GIF8[79]a"): "a GIF",
    re.compile(rb"BM.{4}\0{4}", re.DOTALL): "a BMP",
    re.compile(rb"RIFF.{4}WEBP", re.DOTALL): "a WebP",
    re.compile(rb".{4}ftyp(?:hei[cfmsx]|hev[cmsx]|mif1|msf1|avif|avis)", re.DOTALL): "a HEIF",
    re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n"): "a JPEG 2000 file",
}


def picture_form(head: bytes) -> str | None:
    """What picture a file is by its first bytes, in words; None = none that is known."""
    return next((form for begins, form in _BEGINNINGS.items() if begins.match(head)), None)
