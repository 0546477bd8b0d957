"""Writes examples/eval: questions for the shipped model in the layouts of published data sets.

everyday (ARC's layout, for `mixtral eval --task arc_challenge`): facts.py's tables asked with four answers, the wrong
ones from the same column.
sums (GSM8K's layout, `--task gsm8k`): sums and differences of numbers that training never paired, see
corpus/arithmetic.py. A seed decides everything.
"""

import json
import pathlib
import random

from corpus import arithmetic, facts

SEED = 400
N_FACTS, N_SUMS = 200, 200
OUT = pathlib.Path(__file__).parent.parent / "examples" / "eval"

COLUMNS = [  # question and answer as the corpus words them, rows of (what is asked of, the right answer)
    ("What is the capital of {}?", "The capital of {} is {}.", facts.CAPITALS),
    ("What is the young of a {} called?", "A young {} is called a {}.", [(row[0], row[1]) for row in facts.ANIMALS]),
    ("What does a {} eat?", "A {} eats {}.", [(row[0], row[3]) for row in facts.ANIMALS]),
    ("Where does a {} live?", "A {} lives {}.", [(row[0], row[4]) for row in facts.ANIMALS]),
    ("What colour is {}?", "{} is {}.", facts.COLOURS),
    ("What is the opposite of {}?", "The opposite of {} is {}.", facts.OPPOSITES + [pair[::-1] for pair in facts.OPPOSITES]),
    ("What does {} do?", "{} {}.", facts.JOBS),
    ("What do I need to {}?", "To {}, you need {}.", [(row[1], row[0]) for row in facts.TOOLS]),
    ("What goes well with {}?", "{} goes well with {}.", [(row[0], row[2]) for row in facts.CONDIMENTS]),
    ("Which day comes after {}?", "After {} comes {}.", list(zip(facts.DAYS, facts.DAYS[1:] + facts.DAYS[:1]))),
    ("Which month comes after {}?", "After {} comes {}.", list(zip(facts.MONTHS, facts.MONTHS[1:] + facts.MONTHS[:1]))),
]


def sentence(text):
    return text[0].upper() + text[1:]


def multiple_choice(rng, name, question, right, wrong):
    answers = [right, *rng.sample(sorted(wrong - {right}), 3)]
    rng.shuffle(answers)
    return {"id": name, "question": question,
            "choices": {"text": [sentence(answer) for answer in answers], "label": list("ABCD")},
            "answerKey": "ABCD"[answers.index(right)]}


def fact_questions(rng):
    questions = [(ask.format(thing), form.format(thing, right), {form.format(thing, answer) for _, answer in rows})
                 for ask, form, rows in COLUMNS for thing, right in rows]
    for number, (question, right, wrong) in enumerate(rng.sample(questions, N_FACTS)):
        yield multiple_choice(rng, f"fact_{number}", question, right, wrong)


def sums(rng):
    problems = set()
    while len(problems) < N_SUMS:
        problems.add(arithmetic.problem(rng, "held-out"))
    for op, a, b in sorted(problems):
        word, c = {"+": "plus", "-": "minus"}[op], arithmetic.result(op, a, b)
        yield {"question": f"What is {a} {word} {b}?", "answer": f"{a} {op} {b} = {c}\n#### {c}"}


def write(name, rows):
    (OUT / name).mkdir(parents=True, exist_ok=True)
    with open(OUT / name / "test.jsonl", "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


if __name__ == "__main__":
    rng = random.Random(SEED)
    write("everyday", fact_questions(rng))
    write("sums", sums(rng))
