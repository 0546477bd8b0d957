"""Sums, differences and products of small numbers, plain and in words, with a held-out set.

A tenth of the pairs of operands never occurs in the training split, in either order and in any
wording, so the held-out problems measure calculation and not memory. The tables of products are
too small to hold out; all of them are in the training split.
"""

import zlib

from . import words
from .grammar import expand

LIMIT = 99  # the largest operand and the largest result
TABLE = 10  # the largest factor
PLURALS = """apples;pears;plums;eggs;books;coins;stamps;marbles;shells;buttons;pencils;cards;cookies;stones;flowers;
nuts;balls;candles;oranges;stickers""".replace("\n", "").split(";")


def is_held_out(op, a, b):
    """True for the tenth of the sums and differences that training must not see."""
    if op == "*":
        return False
    low, high = sorted((a, b))
    return zlib.crc32(f"{low} {high}".encode()) % 10 == 0


def result(op, a, b):
    return a + b if op == "+" else a - b if op == "-" else a * b


def problem(rng, split="train"):
    """Returns (op, a, b); `split` is "train", "held-out", or "any"."""
    while True:
        op = rng.choice("++--*")
        if op == "*":
            a, b = rng.randint(0, TABLE), rng.randint(0, TABLE)
        else:
            top = LIMIT if rng.random() < 0.8 else 20
            total = rng.randint(0, top) if rng.random() < 0.3 else rng.randint(10, top)
            part = rng.randint(0, total)
            a, b = (part, total - part) if op == "+" else (total, part)
        if split == "any" or is_held_out(op, a, b) == (split == "held-out"):
            return op, a, b


def equation(op, a, b):
    return f"{a} {op} {b} = {result(op, a, b)}"


QUESTIONS = {
    "+": ["What is {a} plus {b}?", "What is {a} + {b}?", "How much is {a} plus {b}?", "Add {a} and {b}.", "Calculate {a} + {b}.", "{a} + {b} = ?",
          "Can you add {a} and {b}?", "What do you get if you add {a} and {b}?"],
    "-": ["What is {a} minus {b}?", "What is {a} - {b}?", "How much is {a} minus {b}?", "Subtract {b} from {a}.", "Calculate {a} - {b}.", "{a} - {b} = ?",
          "Can you take {b} away from {a}?"],
    "*": ["What is {a} times {b}?", "What is {a} * {b}?", "How much is {a} times {b}?", "Multiply {a} by {b}.", "Calculate {a} * {b}.", "{a} * {b} = ?"],
}
ANSWERS = {
    "+": ["{a} + {b} = {c}", "{a} plus {b} is {c}.", "The answer is {c}.", "{c}", "That is {c}.", "{a} + {b} = {c}."],
    "-": ["{a} - {b} = {c}", "{a} minus {b} is {c}.", "The answer is {c}.", "{c}", "That is {c}.", "{a} - {b} = {c}."],
    "*": ["{a} * {b} = {c}", "{a} times {b} is {c}.", "The answer is {c}.", "{c}", "That is {c}.", "{a} * {b} = {c}."],
}
WORD_PROBLEMS = {
    "+": [
        ("{A} has {a} {things}. {G} gives {him} {b} more. How many {things} does {A} have now?", "{a} + {b} = {c}, so {A} has {c} {things}."),
        ("There are {a} {things} in one box and {b} {things} in another box. How many {things} are there in all?", "{a} + {b} = {c}, so there are {c} {things} in all."),
        ("{A} has {a} {things} and {G} has {b} {things}. How many {things} do they have together?", "{a} + {b} = {c}, so they have {c} {things} together."),
    ],
    "-": [
        ("{A} has {a} {things}. {A} gives {b} of them to {G}. How many {things} does {A} have left?", "{a} - {b} = {c}, so {A} has {c} {things} left."),
        ("There are {a} {things} in a basket. {A} takes out {b} of them. How many {things} are left?", "{a} - {b} = {c}, so {c} {things} are left."),
        ("{A} had {a} {things} and lost {b} of them. How many {things} are left?", "{a} - {b} = {c}, so {c} {things} are left."),
    ],
    "*": [
        ("There are {a} boxes with {b} {things} in each box. How many {things} are there in all?", "{a} * {b} = {c}, so there are {c} {things} in all."),
        ("{A} buys {a} bags. There are {b} {things} in each bag. How many {things} does {A} have?", "{a} * {b} = {c}, so {A} has {c} {things}."),
    ],
}


def question(rng, split="train"):
    """Returns (question, answer) for one problem, with the same numbers."""
    op, a, b = problem(rng, split)
    if rng.random() < 0.3 and min(a, b) > 1 and result(op, a, b) > 1:
        ask, answer = rng.choice(WORD_PROBLEMS[op])
    else:
        ask, answer = rng.choice(QUESTIONS[op]), rng.choice(ANSWERS[op])
    girl = rng.random() < 0.5
    slots = {"a": a, "b": b, "c": result(op, a, b), "things": rng.choice(PLURALS), "him": "her" if girl else "him",
             "A": rng.choice(words.GIRLS if girl else words.BOYS), "G": rng.choice(words.GIRLS + words.BOYS)}
    return expand(rng, ask, slots), expand(rng, answer, slots)


def equations(rng):
    """A page of equations, one a line."""
    return "\n".join(equation(*problem(rng)) for _ in range(rng.randint(5, 25)))
