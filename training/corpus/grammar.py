"""A tiny text grammar: `[a|b|]` picks one alternative, `{slot}` and `{slot.form}` fill a slot."""

import re

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)(?:\.(\w+))?\}")
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeiouAEIOU])(?!(?:uni|use|usu|one|eu))|\b([Aa]) (?=honest|hour)")
_SENTENCE_START = re.compile(r'((?:^|[.!?]\s+|\."\s+|\n)"?)([a-z])')
_PRONOUNS = {
    "he": {"he": "he", "him": "him", "his": "his", "himself": "himself"},
    "she": {"he": "she", "him": "her", "his": "her", "himself": "herself"},
    "it": {"he": "it", "him": "it", "his": "its", "himself": "itself"},
}


class Person:
    """A character: prints as its name; `.he`, `.him`, `.his`, `.himself`, `.kind` give other forms."""

    def __init__(self, name, gender, kind):
        self.name, self.kind, self.gender = name, kind, gender

    def form(self, form):
        return self.kind if form == "kind" else _PRONOUNS[self.gender][form]

    def __str__(self):
        return self.name


def expand(rng, template, slots=None):
    """Returns `template` with choices made by `rng`, slots filled, articles and capitals put right."""
    text = template
    while True:
        chosen = _CHOICE.sub(lambda m: rng.choice(m.group(1).split("|")), text)
        if chosen == text:
            break
        text = chosen

    def fill(match):
        value = slots[match.group(1)]
        return value.form(match.group(2)) if match.group(2) else str(value)

    while _SLOT.search(text):
        text = _SLOT.sub(fill, text)
    text = re.sub(r" +([.,!?])", r"\1", re.sub(r"  +", " ", text))
    text = _ARTICLE.sub(lambda m: m.group().rstrip() + "n ", text)
    return _SENTENCE_START.sub(lambda m: m.group(1) + m.group(2).upper(), text).strip()
