"""Reading exercises: a few statements about people and things, then questions that the statements answer.

They teach the model to look back and copy: whom a text spoke of, and what it said.
"""

from . import words
from .grammar import expand

THINGS = """ball kite hat book cup box bag boat lamp coat scarf bell drum bicycle umbrella chair vase ribbon pencil
blanket basket bowl ring flag""".split()
PLACES = "kitchen garden attic barn school library market forest cellar harbour park tower".split()
FOODS = "apples pears plums nuts cherries carrots pancakes noodles dumplings cheese bread honey".split()
PREDICATES = [  # statement, question for the person, question for the thing, short answer
    ("{A} has a {c} {t}.", "Who has [the|a] {c} {t}?", "What does {A} have?", "a {c} {t}"),
    ("{A} found a {c} {t}.", "Who found [the|a] {c} {t}?", "What did {A} find?", "a {c} {t}"),
    ("{A} is in the {p}.", "Who is in the {p}?", "Where is {A}?", "in the {p}"),
    ("{A} went to the {p}.", "Who went to the {p}?", "Where did {A} go?", "to the {p}"),
    ("{A} likes {f}.", "Who likes {f}?", "What does {A} like?", "{f}"),
    ("{A} is {n} years old.", "Who is {n} years old?", "How old is {A}?", "{n} years old"),
    ("{A} lost a {c} {t}.", "Who lost [the|a] {c} {t}?", "What did {A} lose?", "a {c} {t}"),
]


def _exercise(rng):
    """Returns (text, [(question, answer), ...])."""
    people = rng.sample(words.GIRLS + words.BOYS, rng.randint(1, 4))
    columns = [rng.sample(column, 4) for column in (words.COLOURS, THINGS, PLACES, FOODS, [str(n) for n in range(3, 99)])]
    predicate = rng.choice(PREDICATES)
    statements, questions = [], []
    for i, name in enumerate(people):
        statement, who, what, answer = predicate if rng.random() < 0.7 else rng.choice(PREDICATES)
        slots = {"A": name, **{key: column[i] for key, column in zip("ctpfn", columns)}}
        statement, who, what, answer = (expand(rng, text, slots) for text in (statement, who, what, answer))
        statements.append(statement)
        questions.append((who, rng.choice([name + ".", name + ".", statement])))
        questions.append((what, rng.choice([answer + ".", statement])))
    rng.shuffle(questions)
    return " ".join(statements), questions


def plain(rng):
    text, questions = _exercise(rng)
    layout = rng.random()
    if layout < 0.5:
        return text + "\n" + "\n".join(question + " " + answer for question, answer in questions)
    return text + "\n\n" + "\n\n".join(f"Question: {question}\nAnswer: {answer}" for question, answer in questions)


def chat(rng):
    text, questions = _exercise(rng)
    return text + " " + questions[0][0], questions[0][1]
