"""Files that systems, viewers and CDs leave beside the data: none is part of a case, and none costs
one.

Two kinds are told apart. What a system leaves (`.DS_Store`, `Thumbs.db` ...) is never a source of
anything and is overlooked. What lies beside images on a CD (a viewer, its pages, a read-me) is left
out of a folder that holds images, and is all there is of one that holds none: that one is refused.
"""

import re
from collections.abc import Iterable
from pathlib import Path, PurePath


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


OF_SYSTEMS = frozenset(
    (
        ".ds_store",
        ".localized",
        ".directory",
        ".fseventsd",
        ".spotlight-v100",
        ".trashes",
        ".appledouble",
        "__macosx",
        "@eadir",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "icon\r",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        ".gitkeep",
        ".keep",
    )
)
RESOURCE_FORK = "._"  # what macOS writes beside a file on a foreign disk
DIRECTORY = re.compile(r"DICOMDIR(\.\w+)?", re.IGNORECASE)  # PS3.10 8: an index, no image
# what no program gives to an image: a torn download (.part, .tmp) is not among them
OF_CDS = _words(
    """
    .exe .dll .ocx .sys .msi .com .bat .cmd .sh .ps1 .jar .class .app .dylib .so .bin .cab .dmg .iso
    .inf .ini .cfg .conf .properties .plist .manifest .lnk .url .webloc .db .dat .log .lock
    .htm .html .xhtml .css .js .map .json .xml .xsl .xslt .xsd .dtd .svg .ico .icns .cur .bmp .gif
    .png .jpg .jpeg .tif .tiff .webp .ttf .woff .woff2 .eot .swf .wav .mp3 .mp4 .avi .mov .wmv .mpg
    .txt .text .md .rtf .pdf .doc .docx .xls .xlsx .ppt .pptx .odt .csv .tsv .hlp .chm .sha1 .sha256
    .md5 .zip .7z .rar .gz .tar .license .lic
    """
)
NAMES_OF_CDS = _words(
    """
    readme read_me liesmich lisezmoi leggimi leame license licence copying copyright version authors
    notice changelog install index checksums md5sums sha1sums sha256sums volume.id autorun media
    """
)


def left_by_a_system(path: PurePath) -> bool:
    """Whether a file, or a folder that it lies in, is what a system leaves behind."""
    return named_by_a_system(path.parts)


def named_by_a_system(parts: Iterable[str]) -> bool:
    """`left_by_a_system` of the names that a path is made of."""
    return any(part.startswith(RESOURCE_FORK) or part.lower() in OF_SYSTEMS for part in parts)


def of_the_data(files: Iterable[Path], below: Path) -> list[Path]:
    """Files without what systems leave, judged by their names below a folder."""
    return [file for file in files if not left_by_a_system(file.relative_to(below))]


def left_by_a_viewer(path: PurePath) -> bool:
    """Whether the name of a file says that it is a part of a CD and no image. A name without a
    suffix, or with digits behind its point, may be that of an image.
    """
    name = path.name.lower()
    return (
        path.suffix.lower() in OF_CDS
        or name in NAMES_OF_CDS
        or DIRECTORY.fullmatch(path.name) is not None
    )
