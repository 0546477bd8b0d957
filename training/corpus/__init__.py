"""The training corpus: an endless stream of documents, decided by a seed alone."""

import random
from collections import namedtuple

from . import arithmetic, code, questions, stories

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


SOURCES = [  # kind, is_chat, generator of a text (or of a chat's turns), weight by documents
    ("story", False, stories.plain, 24), ("equations", False, arithmetic.equations, 17),
    ("word problem", False, lambda rng: questions.plain(rng, arithmetic.question), 9),
    ("question", False, questions.plain, 19), ("code", False, code.plain, 7), ("chat", True, _chat, 24),
]


def documents(seed):
    """Yields documents for ever; the same seed gives the same documents."""
    rng = random.Random(seed)
    weights = [source[3] for source in SOURCES]
    while True:
        kind, is_chat, generate, _ = rng.choices(SOURCES, weights)[0]
        made = generate(rng)
        yield Document(kind, is_chat, made if is_chat else [made])
