"""Short stories: a plot is a text in the grammar plus the slots that keep its people and things consistent.

A line that starts with `?` is left out of some tellings; a blank line starts a paragraph.
"""

from . import words
from .grammar import Person, expand
from .plots import PLOTS

OPENINGS = [
    "[Once upon a time|Long ago|Once], [there was|there lived] a {trait} {A.kind} [named|called] {A}. {A} lived {place}.",
    "Once upon a time, {place}, there lived a {trait} {A.kind} [named|called] {A}.",
    "{A} was a {trait} {A.kind} who lived {place}.",
    "There was once a {trait} {A.kind} [named|called] {A} who lived {place}.",
    "{place}, there lived a {A.kind} [named|called] {A}. {A} was [very|always|] {trait}.",
]
BACKGROUND = [
    "Every [morning|evening], {A.he} [looked out of the window|went for a walk|fed the birds|sang a little song].",
    "{A.he} liked {liked} and {also_liked}.",
    "{A.his} best friend was {B}, [a {B.kind} who lived nearby|the {B.kind} from next door|a {trait2} {B.kind}].",
    "[Everyone|All the neighbours] [knew {A.him}|liked {A.him}], because {A.he} was so {trait}.",
    "More than anything, {A.he} loved {liked}.",
]
HUMAN_LIKES = """reading books;drawing pictures;climbing trees;telling jokes;singing songs;baking cakes;flying kites;
watching the stars;collecting shells;building towers;riding a bicycle;playing the drum;looking after plants;
swimming in the lake;listening to old stories""".replace("\n", "").split(";")


def _child(rng, taken):
    girl = rng.random() < 0.5
    name = rng.choice([n for n in (words.GIRLS if girl else words.BOYS) if n not in taken])
    return Person(name, "she" if girl else "he", "girl" if girl else "boy")


def _animal(rng, taken, kind=None):
    kind = kind or rng.choice([k for k, _, _ in words.ANIMALS])
    name = rng.choice([n for n in words.PET_NAMES if n not in taken])
    return Person(name, "she" if kind in ("hen", "duck") else rng.choice(["he", "she"]), kind)


def _grown_up(rng, child):
    gender = rng.choice(["he", "she"])
    kind = rng.choice(["mother", "grandmother", "aunt"] if gender == "she" else ["father", "grandfather", "uncle"])
    return Person(child.form("his") + " " + kind, gender, kind)


def cast(rng, with_animals):
    """The slots that every plot may use: hero A, friend B, grown-up G, and what describes them."""
    make = _animal if with_animals else _child
    hero = make(rng, [])
    friend = make(rng, [hero.name])
    likes = rng.sample(HUMAN_LIKES, 2)
    traits = rng.sample(words.GOOD, 2)
    return {
        "A": hero, "B": friend, "G": _grown_up(rng, hero), "liked": likes[0], "also_liked": likes[1],
        "trait": traits[0], "trait2": traits[1], "weather": rng.choice(words.WEATHER),
        "place": rng.choice(words.WILD_PLACES if with_animals else words.PLACES),
        "colour": rng.choice(words.COLOURS), "food": rng.choice(words.FOODS),
    }


def _opening(rng, slots):
    lines = [rng.choice(OPENINGS)]
    if rng.random() < 0.6:
        lines.append(rng.choice(BACKGROUND))
    return expand(rng, " ".join(lines), slots)


def tell(rng):
    """Returns (title, topic, story). The topic completes "a story about ..."."""
    plot = rng.choice(PLOTS)
    slots = cast(rng, rng.random() < plot.animal_share)
    slots.update(plot.slots(rng))
    paragraphs = []
    for block in plot.text.strip().split("\n\n"):
        lines = [l.lstrip("?") for l in block.splitlines() if not l.startswith("?") or rng.random() < 0.6]
        paragraphs.append(expand(rng, " ".join(lines), slots))
    paragraphs[0] = _opening(rng, slots) + " " + paragraphs[0]
    separator = rng.choice([" ", "\n", "\n\n", "\n\n"])
    title, topic = (expand(rng, t, slots) for t in (plot.title, plot.topic))
    title = " ".join(word if word in SMALL_WORDS else word[0].upper() + word[1:] for word in title.split())
    return title, topic[0].lower() + topic[1:], separator.join(paragraphs)


SMALL_WORDS = ("a", "an", "and", "at", "for", "in", "of", "the", "to")
REQUESTS = [
    "Tell me a story about {topic}.", "Write a short story about {topic}.", "Can you tell me a story about {topic}?",
    "Please write a story about {topic}.", "I would like to hear a story about {topic}.",
]


def plain(rng):
    title, _, story = tell(rng)
    return title + "\n\n" + story if rng.random() < 0.2 else story


def chat(rng):
    """A (request, story) pair; sometimes any story will do."""
    _, topic, story = tell(rng)
    if rng.random() < 0.3:
        return rng.choice(["Tell me a story.", "Please tell me a story.", "Can you tell me a short story?"]), story
    return rng.choice(REQUESTS).replace("{topic}", topic), story
