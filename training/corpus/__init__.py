"""The training corpus: an endless stream of documents, decided by a seed alone."""

import random
from collections import namedtuple

from . import arithmetic, code, questions, reading, stories

# kind: where it comes from; turns: a plain document has one text, a chat alternates request and answer
Document = namedtuple("Document", "kind is_chat turns")


def _turn(rng):
    """One (request, answer) turn of a chat."""
    make = rng.choices([questions.question, arithmetic.question, stories.chat, code.chat], [55, 20, 15, 10])[0]
    return make(rng)


def _short_turn(rng):
    return rng.choices([questions.question, arithmetic.question], [3, 1])[0](rng)


def _chat(rng):
    turn = _turn if rng.random() < 0.6 else _short_turn
    return [text for pair in questions.chat(rng, turn) for text in pair]


def _sums(rng):
    """A page of questions with sums, so that a number in a question is one to copy."""
    return "\n".join("\n".join(arithmetic.question(rng)) for _ in range(rng.randint(3, 8)))


def _reading_chat(rng):
    return list(reading.chat(rng))


def _sum_chat(rng):
    return list(arithmetic.question(rng))


SOURCES = [  # kind, is_chat, generator of a text (or of a chat's turns), weight in the first and in the second part
    ("story", False, stories.plain, 24, 22), ("equations", False, arithmetic.equations, 17, 6),
    ("word problem", False, lambda rng: questions.plain(rng, arithmetic.question), 9, 12),
    ("question", False, questions.plain, 19, 16), ("code", False, code.plain, 7, 5), ("chat", True, _chat, 24, 20),
    ("reading", False, reading.plain, 0, 30), ("word problem", False, _sums, 0, 12),
    ("chat", True, _reading_chat, 0, 12), ("chat", True, _sum_chat, 0, 12),
]


def documents(seed, part=2):
    """Yields documents for ever; the same seed gives the same documents.

    Part 1 of the training had less to copy than part 2, and learned to calculate before it learned to look back.
    """
    rng = random.Random(seed)
    weights = [source[2 + part] for source in SOURCES]
    while True:
        kind, is_chat, generate, *_ = rng.choices(SOURCES, weights)[0]
        made = generate(rng)
        yield Document(kind, is_chat, made if is_chat else [made])
