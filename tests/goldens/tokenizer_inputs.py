"""Texts and id sequences on which tokenizers are compared. Everything follows from the seed and
from the Python release (its Unicode tables and its own sources)."""

import argparse
import inspect
import json.decoder
import sys
import unicodedata

SENTENCES = [
    "What is your favourite condiment?",
    "Do you have mayonnaise recipes?",
    "The quick brown fox jumps over the lazy dog.",
    "Well, I'm quite partial to a good squeeze of fresh lemon juice.",
    "Don't panic — it's only a test… (isn't it?)",
    "Ünïcödé ünd Straße, ÆØÅ, ĲsselmeerſŒ",
    "Le cœur a ses raisons que la raison ne connaît point.",
    "El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia.",
    "Pchnąć w tę łódź jeża lub ośm skrzyń fig.",
    "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "Árvíztűrő tükörfúrógép",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "Чуєш їх, доцю, га? Кумедна ж ти, прощайся без ґольфів!",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.",
    "Η γλώσσα μου έδωσαν ελληνική· το σπίτι φτωχικό.",
    "דג סקרן שט בים מאוכזב ולפתע מצא חברה",
    "נקדן: בְּרֵאשִׁית בָּרָא אֱלֹהִים",
    "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر",
    "الْحَمْدُ لِلَّهِ رَبِّ الْعَالَمِينَ",
    "ژرفنگر، پژوهش و گچ‌کاری می‌خواهم",
    "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण",
    "আমি বাংলায় গান গাই",
    "நல்ல எழுத்துக்கள்",
    "ಕನ್ನಡ ಅಕ್ಷರಮಾಲೆ",
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า",
    "ភាសាខ្មែរ",
    "မြန်မာဘာသာ",
    "ქართული ენა",
    "Հայերեն այբուբեն",
    "አማርኛ ቋንቋ",
    "いろはにほへと ちりぬるを",
    "日本語のテキストと、カタカナ・ひらがな。",
    "我能吞下玻璃而不伤身体。",
    "天地玄黃,宇宙洪荒。",
    "다람쥐 헌 쳇바퀴에 타고파",
    "각ᄀ",
    "Tiếng Việt: Bữa tối nay ăn phở.",
    "e\u0301 vs é, A\u030a vs Å, \u1e9b\u0323",
    "Z̸̢͝a̴͎͌l̷̰̈g̶̨̕o̵̱̓",
    "𝔐𝔞𝔱𝔥 𝟙𝟚𝟛 ∑∫∂ ∀x∈ℝ: ⌈x⌉ ≠ ⌊x⌋",
    "½ ² ³ ① Ⅳ ㎏ ﬁ ﬃ ＦＵＬＬ ｗｉｄｔｈ",
    "naïve café",
    "https://example.org/a/b?c=d&e=%20#f",
    "someone@example.com +1 (555) 012-3456",
    "C:\\Program Files\\x\\y.txt",
    "SELECT * FROM t WHERE a='b''c' -- ;",
    '{"a": [1, 2.5e-3, null], "b": {"c": "\\u00e9"}}',
    "<html><body class='x'>&nbsp;</body></html>",
    "#include <vector>\nint main() { return 0; }\n",
    "def f(x):\n\tif x:\n\t\treturn x ** 2\n    \n",
    "| a | b |\n|---|:-:|\n| 1 | 2 |\n",
    "$\\frac{a}{b} = \\sqrt{2}$",
]

LITERALS = [
    "<s>",
    "</s>",
    "<unk>",
    "<pad>",
    "[INST]",
    "[/INST]",
    "[INST] Hi [/INST]",
    "<<SYS>>",
    "[TOOL_CALLS]",
    "[AVAILABLE_TOOLS]",
    "[/TOOL_RESULTS]",
    "[IMG]",
    "[PREFIX]",
    "[control_8]",
    "<0x41>",
    "<0x0A>",
    "<0xFF>",
    "<0x00>",
    "<s><s></s>",
    "▁",
    "▁▁",
    "▁a",
    "a▁b",
    " ▁ ",
    "⁇",
    " ⁇ ",
    "[REFERENCE_DOC_0]",
    "[REFERENCE_DOC_19]",
    "see [REFERENCE_DOC_3] and[REFERENCE_DOC_4]x",
    "[REFERENCE_DOC_1",
    "[REFERENCE_DOC_1][REFERENCE_DOC_10]",
    " [REFERENCE_DOC_7] ",
    "[INST",
    "</s",
]

EMOJI = [
    "🙂", "🙃", "😀😃😄", "❤️", "❤", "☺️", "👍🏽", "👩‍💻", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🏴‍☠️",
    "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🇫🇷", "🇫🇷🇩🇪", "🇫", "1️⃣", "#️⃣", "🧑🏿‍🤝‍🧑🏻", "🤷🏻‍♀️", "🫠", "🦩", "🪿", "\u200d", "\ufe0f",
]  # fmt: skip

CONTROLS = [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA1))] + list(
    "\u00ad\u034f\u061c\u115f\u180e\u2000\u2003\u2009\u200b\u200c\u200d\u200e\u200f\u2028\u2029"
    "\u202a\u202e\u202f\u205f\u2060\u2066\u2069\u3000\u3164\ufeff\ufff9\ufffc\ufffd\ufffe\uffff"
    "\ue000\uf8ff\U000e0001\U000f0000\U0010fffd\U0010ffff\ufdd0"
)

INVALID_UTF8 = [
    b"\x80", b"\xbf", b"\xff", b"\xfe", b"\xc0\x80", b"\xc1\xbf", b"\xc3", b"\xc3(", b"\xe2\x82",
    b"\xe2\x82\xacx\xe2\x82", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xed\xbf\xbf",
    b"\xed\xa0\xbd\xed\xb8\x80", b"\xf0\x9f", b"\xf0\x9f\x98", b"\xf0\x9f\x98(", b"\xf0\x80\x80\x80",
    b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80", b"\x80\x80\x80", b"a\xffb", b"\xffa", b"a\xff", b" \xff ",
    b"\xe6\x97\xa5\xe6\x9c", b"\xc3\xa9\xc3", b"<s>\xff</s>", b"\xe2\x96", b"\xe2\x96\x81\xe2\x96",
    b"\x00\xff\x00",
]  # fmt: skip


def characters_by_script():
    """Assigned characters by the first word of their Unicode name, mostly the script."""
    scripts = {}
    for code in range(0xA1, sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character)[0] in "LMNPS":
            name = unicodedata.name(character, "UNNAMED").split()[0]
            scripts.setdefault(name, []).append(character)
    return [characters for characters in scripts.values() if len(characters) >= 8]


def script_texts(rng):
    for characters in characters_by_script():
        word = "".join(rng.choices(characters, k=rng.randint(3, 12)))
        yield f"{word} {rng.choice(characters)} {word[::-1]}"


def space_texts():
    for n in [*range(1, 40), 47, 48, 49, 63, 64, 65, 127, 128, 129, 500]:
        spaces = " " * n
        yield from (spaces, f"a{spaces}b", f"{spaces}x", f"x{spaces}", f"\n{spaces}\n")
    for n in range(1, 12):
        yield from ("\t" * n, "\n" * n, "\r\n" * n, "\t" * n + "x", " \t" * n, " \n" * n + "y")
        yield from ("\u00a0" * n, "\u3000" * n, "▁" * n, "x " * n, "- " * n, "=" * (7 * n))


def code_texts(rng):
    """Pieces of Python's own sources."""
    for module in (argparse, inspect, json.decoder):
        lines = inspect.getsource(module).splitlines(keepends=True)
        for _ in range(40):
            start = rng.randrange(len(lines))
            yield "".join(lines[start : start + rng.randint(1, 12)])


def long_texts(rng):
    letters = "abcdefghijklmnopqrstuvwxyz"
    for n in (100, 1000, 5000):
        yield "a" * n
        yield "ab" * n
        yield "".join(rng.choices(letters, k=n))
        yield "".join(rng.choices("0123456789", k=n))
        yield "".join(rng.choices([chr(c) for c in range(0x4E00, 0x9FA5)], k=n // 3))
        yield "🙂" * (n // 4)
        yield "\x00" * (n // 4)
        yield " ".join(rng.choices(SENTENCES, k=n // 50))


def number_texts(rng):
    for _ in range(150):
        value = rng.randrange(10 ** rng.randint(1, 30))
        yield rng.choice(
            [f"{value}", f"-{value}", f"{value:,}", f"{value:x}", f"{value / 7:.5f}", f"{value / 3e9:g}",
             f"{value % 3000}-{value % 12 + 1:02}-{value % 28 + 1:02}", f"${value}.00", f"{value}%"]
        )  # fmt: skip


def vocabulary_texts(processor, rng):
    """Pieces side by side, so that merges compete across their seams."""
    pieces = [processor.id_to_piece(i) for i in range(processor.get_piece_size())]
    for _ in range(900):
        chosen = rng.choices(pieces, k=rng.randint(1, 25))
        yield "".join(chosen).replace("▁", " ")


def random_character(rng):
    while True:
        code = rng.choice((rng.randrange(0x80), rng.randrange(0x3000), rng.randrange(0x110000)))
        if not 0xD800 <= code < 0xE000:
            return chr(code)


def mixtures(fragments, rng):
    for _ in range(1500):
        parts = rng.choices(fragments, k=rng.randint(1, 8))
        parts += [random_character(rng) for _ in range(rng.randrange(6))]
        parts += [" " * rng.randint(1, 4) for _ in range(rng.randrange(4))]
        rng.shuffle(parts)
        yield rng.choice(("", " ")).join(parts)


def damaged_texts(texts, rng):
    """Valid text with bytes changed, dropped or put in."""
    for text in rng.sample(texts, 500):
        data = bytearray(text.encode()[:200] or b"?")
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            data[at : at + rng.randrange(2)] = bytes([rng.randrange(0x80, 0x100)])
        yield bytes(data)
    for _ in range(200):
        yield rng.randbytes(rng.randint(1, 40))


def encode_inputs(processor, rng):
    """Byte strings without repetitions; about 1 in 6 is not valid UTF-8."""
    short = [*SENTENCES, *LITERALS, *EMOJI, *CONTROLS]
    texts = ["", *short, *script_texts(rng), *space_texts(), *code_texts(rng), *number_texts(rng)]
    texts += [f"a{character}b {character}{character}" for character in CONTROLS]
    texts += [f"<0x{byte:02X}>" for byte in range(0x100)]
    texts += vocabulary_texts(processor, rng)
    texts += mixtures([*short, *texts], rng)
    texts += long_texts(rng)
    damaged = [*INVALID_UTF8, *damaged_texts(texts, rng)]
    return list(dict.fromkeys([text.encode() for text in texts] + damaged))


def random_ids(processor, rng):
    """Any ids at all: also controls, <unk>, and bytes that are not UTF-8."""
    size = processor.get_piece_size()
    first_byte = processor.piece_to_id("<0x00>")

    def any_id():
        return rng.randrange(size)

    def byte_id():
        return first_byte + rng.randrange(0x100)

    def special_id():
        return rng.randrange(3)

    def ascii_byte_id():
        return first_byte + rng.randrange(0x20, 0x7F)

    def spaces_id():
        return processor.piece_to_id("▁" * rng.randint(1, 14))

    kinds = [[any_id], [byte_id], [any_id, byte_id], [special_id, any_id], [special_id, byte_id],
             [ascii_byte_id, byte_id], [spaces_id, any_id], [spaces_id, special_id],
             [any_id, byte_id, special_id, spaces_id, ascii_byte_id]]  # fmt: skip
    for _ in range(1500):
        kind = rng.choice(kinds)
        yield [rng.choice(kind)() for _ in range(rng.randrange(24))]


def spelled_ids(processor, texts, rng):
    """Texts spelled in byte tokens, whole or cut within a character."""
    first_byte = processor.piece_to_id("<0x00>")
    for text in rng.sample(texts, 300):
        data = text[:60]
        start, stop = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
        yield [first_byte + byte for byte in data[start:stop]]
