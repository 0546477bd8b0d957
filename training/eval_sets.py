"""Writes examples/eval: questions for the shipped model in the layouts of published data sets.

everyday (ARC's layout, for `mixtral eval --task arc_challenge`): facts.py's tables asked with four answers, the wrong
ones from the same column; and reading exercises that training never saw, whose wrong answers come from the same text.
sums (GSM8K's layout, `--task gsm8k`): sums and differences of numbers that training never paired, see
corpus/arithmetic.py. A seed decides everything.
"""

import json
import pathlib
import random

from corpus import arithmetic, facts, reading, words

SEED = 400
N_FACTS, N_READING, N_SUMS = 200, 100, 200
OUT = pathlib.Path(__file__).parent.parent / "examples" / "eval"

COLUMNS = [  # question, answer, rows of (what is asked of, the right answer)
    ("What is the capital of {}?", "{}", facts.CAPITALS),
    ("What is the young of a {} called?", "a {}", [(row[0], row[1]) for row in facts.ANIMALS]),
    ("What does a {} eat?", "{}", [(row[0], row[3]) for row in facts.ANIMALS]),
    ("Where does a {} live?", "{}", [(row[0], row[4]) for row in facts.ANIMALS]),
    ("What colour is {}?", "{}", facts.COLOURS),
    ("What is the opposite of {}?", "{}", facts.OPPOSITES + [pair[::-1] for pair in facts.OPPOSITES]),
    ("What does {} do?", "{}", facts.JOBS),
    ("What do you need to {}?", "{}", [(row[1], row[0]) for row in facts.TOOLS]),
    ("What goes well with {}?", "{}", [(row[0], row[2]) for row in facts.CONDIMENTS]),
    ("Which day comes after {}?", "{}", list(zip(facts.DAYS, facts.DAYS[1:] + facts.DAYS[:1]))),
    ("Which month comes after {}?", "{}", list(zip(facts.MONTHS, facts.MONTHS[1:] + facts.MONTHS[:1]))),
]


def sentence(text):
    return text[0].upper() + text[1:] + "."


def multiple_choice(rng, name, question, right, wrong):
    answers = [right, *rng.sample(sorted(wrong - {right}), 3)]
    rng.shuffle(answers)
    return {"id": name, "question": question,
            "choices": {"text": [sentence(answer) for answer in answers], "label": list("ABCD")},
            "answerKey": "ABCD"[answers.index(right)]}


def fact_questions(rng):
    questions = [(ask.format(thing), form.format(right), {form.format(answer) for _, answer in rows})
                 for ask, form, rows in COLUMNS for thing, right in rows]
    for number, (question, right, wrong) in enumerate(rng.sample(questions, N_FACTS)):
        yield multiple_choice(rng, f"fact_{number}", question, right, wrong)


def reading_questions(rng):
    for number in range(N_READING):
        people = rng.sample(words.GIRLS + words.BOYS, 4)
        columns = [rng.sample(column, 4) for column in (words.COLOURS, reading.THINGS)]
        text = " ".join(f"{name} has a {colour} {thing}." for name, colour, thing in zip(people, *columns))
        i = rng.randrange(4)
        if number % 2:
            question, right, wrong = f"Who has the {columns[0][i]} {columns[1][i]}?", people[i], set(people)
        else:
            things = [f"a {colour} {thing}" for colour, thing in zip(*columns)]
            question, right, wrong = f"What does {people[i]} have?", things[i], set(things)
        yield multiple_choice(rng, f"reading_{number}", f"{text} {question}", right, wrong)


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
    write("everyday", [*fact_questions(rng), *reading_questions(rng)])
    write("sums", sums(rng))
