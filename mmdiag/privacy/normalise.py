"""Text without accents, look-alike letters and hidden characters, with the way back to where each
letter stood. Words that differ in case alone are folded to words that differ in case alone.
"""

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_CYRILLIC = dict(
    zip("АВЕКМНОРСТУХЅІЈԌԚԜҮаеорсухѕіјԛԝүһԁ", "ABEKMHOPCTYXSIJGQWYaeopcyxsijqwyhd", strict=True)
)
_GREEK = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹϳονιυρκχϲ", "ABEZHIKMNOPTYXCjoviupkxc", strict=True))
_LATIN = {
    "ß": "ss",
    "ẞ": "SS",
    "æ": "ae",
    "Æ": "AE",
    "œ": "oe",
    "Œ": "OE",
    "ø": "o",
    "Ø": "O",
    "ł": "l",
    "Ł": "L",
    "đ": "d",
    "Đ": "D",
    "ð": "d",
    "Ð": "D",
}
_MORE = {"\u0131": "i", "\u00fe": "th", "\u00de": "Th", "\u0251": "a", "\u0261": "g", "\u04cf": "l"}
_MARKS = dict.fromkeys("\u2018\u2019\u02bc\u05f3`", "'") | dict.fromkeys(
    "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u05be", "-"
)
# forms of one letter: at a word's end, of one keyboard and another
_FORMS = dict(zip("ςךםןףץٱةیکھہەۀ", "σכמנפצاهيكهههه", strict=True))
# one ideograph in its simplified, traditional and Japanese forms, as names have them
_IDEOGRAPHS: Final = (
    "陈陳 张張 刘劉 杨楊 黄黃 赵趙 吴吳 孙孫 马馬 郑鄭 谢謝 许許 邓鄧 冯馮 萧蕭肖 叶葉 苏蘇 吕呂 蒋蔣 卢盧 贾賈 "
    "韦韋 钟鐘鍾 谭譚 邹鄒 陆陸 龙龍竜 万萬 钱錢 汤湯 罗羅 顾顧 贺賀 龚龔 严嚴厳 华華 东東 伟偉 丽麗 "
    "兰蘭 凤鳳 云雲 军軍 国國 庆慶 建建 强強 红紅 贵貴 阳陽 飞飛 宝寶 荣榮栄 广廣広 泽澤沢 边邊邉辺 "
    "齐齋齊斉斎 岛島嶋嶌 崎﨑埼 滨濱浜濵 高髙 桥橋 泷瀧滝 樱櫻桜 渊淵渕 实實実 惠惠恵 真眞 静靜 德徳德 "
    "节節 绘繪絵 寿壽寿 条條 恒恆恒 显顯顕 亚亞亜 学學学 铃鈴 贤賢 顺順 胜勝 纪紀 纯純 义義 辉輝 "
    "优優 吉𠮷 闫閻阎 关關関 冈岡 长長 细細 饭飯 鹤鶴 盐鹽塩 诚誠 诗詩 颖穎 莹瑩 晓曉 "
    "镇鎮鎭 县縣県 团團 圆圓 凉涼 瑶瑤 遥遙 艳艷 芦蘆 爱愛 乐樂楽 气氣気 涩澁渋 双雙 圣聖 让讓"
)
_ONE_IDEOGRAPH = {
    other: group[0] for group in _IDEOGRAPHS.split() for other in group[1:] if other != group[0]
}
LOOK_ALIKES: Final = {**_CYRILLIC, **_GREEK}
_TO_CYRILLIC = {latin: letter for letter, latin in _CYRILLIC.items() if letter < "ѐ"}
_TO_GREEK = {latin: letter for letter, latin in _GREEK.items()}
_REPLACED: Final = {**_LATIN, **_MORE, **_MARKS, **_FORMS, **_ONE_IDEOGRAPH}
_ENTITY = re.compile(r"&(?:#\d{2,7}|#[xX][0-9A-Fa-f]{2,6}|[A-Za-z]{2,8}\d{0,2});")
_WORD = re.compile(r"[^\W_]+")
_KATAKANA = range(0x30A1, 0x30F7)
_TO_HIRAGANA = 0x60


@dataclass(frozen=True, slots=True)
class Folded:
    """Folded text.

    Args:
        text: Of the same case as the original.
        positions: Of each character of `text` where it stood in the original, and the original's
            length at the end; None where both are the same.
    """

    text: str
    positions: Sequence[int] | None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The stretch of the original that a stretch of `text` stands for; accents and hidden
        characters behind its last letter are in it.
        """
        return (
            (start, end) if self.positions is None else (self.positions[start], self.positions[end])
        )


def fold(text: str) -> Folded:
    """Fold text: without accents and hidden characters, forms of one letter as one, digits of
    every script as digits, HTML's character references as what they stand for. Letters of Cyrillic
    and Greek that look Latin, and the other way round, are brought to the script that the rest of
    their word has.

    Reference:
        UAX 15 (NFKD); UTS 39 4, confusable detection within words of mixed script.
    """
    if text.isascii() and not _ENTITY.search(text):
        return Folded(text, None)
    letters: list[str] = []
    positions: list[int] = []
    for position, letter in _letters(text):
        folded = letter if letter.isascii() else _fold_letter(letter)
        letters.append(folded)
        positions.extend([position] * len(folded))
    return Folded(_of_one_script("".join(letters)), [*positions, len(text)])


def _letters(text: str) -> Iterator[tuple[int, str]]:
    """Each character with its place; of a character reference, what it stands for."""
    begun = 0
    for found in _ENTITY.finditer(text):
        stands_for = html.unescape(found.group())
        if stands_for == found.group():
            continue
        yield from enumerate(text[begun : found.start()], start=begun)
        yield from ((found.start(), letter) for letter in stands_for)
        begun = found.end()
    yield from enumerate(text[begun:], start=begun)


@lru_cache(maxsize=4096)
def _fold_letter(letter: str) -> str:
    if letter in _REPLACED:
        return _REPLACED[letter]
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    return "".join(
        _REPLACED.get(part, chr(ord(part) - _TO_HIRAGANA) if ord(part) in _KATAKANA else part)
        for part in unicodedata.normalize("NFKD", letter)
        if not unicodedata.combining(part)
        and unicodedata.category(part) != "Cf"
        and part != "\u0640"  # Arabic's tatweel, which stretches a word
    )


def _of_one_script(text: str) -> str:
    return _WORD.sub(lambda word: _word_of_one_script(word.group()), text)


def _word_of_one_script(word: str) -> str:
    if word.isascii():
        return word
    foreign = [letter for letter in word if letter in LOOK_ALIKES]
    if not foreign:
        return word
    latin = sum(letter.isascii() and letter.isalpha() for letter in word)
    others = [letter for letter in word if not letter.isascii() and letter.isalpha()]
    numbered = len(foreign) == len(others) and len(others) + latin < len(word)
    if not latin and not numbered:
        return word
    if latin < len(others):  # a Latin letter among Cyrillic ones
        back = _TO_GREEK if "\u0370" <= max(others) < "\u0400" else _TO_CYRILLIC
        if not numbered:
            return "".join(back.get(letter, letter) for letter in word)
    return "".join(LOOK_ALIKES.get(letter, letter) for letter in word)
