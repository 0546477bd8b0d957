"""Questions and answers about everyday things, each question in many wordings, and short chats."""

from . import facts
from .grammar import expand


def _favourite_condiment(rng):
    name, taste, goes_with, _ = rng.choice(facts.CONDIMENTS)
    question = rng.choice(["What is your favourite condiment?"] * 3 + ["What is your favorite condiment?", "Which condiment do you like best?", "What condiment do you like most?",
                           "Do you have a favourite condiment?", "Tell me your favourite condiment."])
    answer = expand(rng, "[My favourite condiment is {n}.|I like {n} best.|That would be {n}!|I am quite fond of {n}.|It has to be {n}.] "
                    "[It is {t}, and it goes well with {g}.|It tastes {t} and goes well with {g}.|It is {t}, and I like it with {g}.|I like it with {g}, because it is {t}.]",
                    {"n": name, "t": taste, "g": goes_with})
    return question, answer


def _condiment(rng):
    name, taste, goes_with, made_of = rng.choice(facts.CONDIMENTS)
    slots = {"n": name, "t": taste, "g": goes_with, "m": made_of}
    ask, answer = rng.choice([
        ("[What does {n} taste like?|How does {n} taste?]", "[It|{n}] tastes {t}."),
        ("[What goes well with {n}?|What do you eat with {n}?|What can I eat with {n}?]", "{n} goes well with {g}."),
        ("[What is {n} made of?|What is in {n}?|What is {n} made from?]", "[It|{n}] is made of {m}."),
        ("What is {n}?", "{n} is a condiment made of {m}. It tastes {t} and goes well with {g}."),
        ("[Do you like {n}?|Is {n} good?]", "[Yes|Oh yes], [I like it very much|I do|it is very good]. It is {t}, and it goes well with {g}."),
    ])
    return expand(rng, ask, slots), expand(rng, answer, slots)


def _favourite(rng):
    kind = rng.choice(list(facts.FAVOURITES))
    thing, reason = rng.choice(facts.FAVOURITES[kind])
    slots = {"k": kind, "t": thing, "r": reason}
    ask = "[What is your favourite {k}?|What is your favourite {k}?|What is your favorite {k}?|Which {k} do you like best?|Do you have a favourite {k}?]"
    answer = "[My favourite {k} is {t}, because {r}.|I like {t} best, because {r}.|That is {t}, because {r}.|It is {t}. I like it because {r}.]".replace("I like it because {r}", "The reason is simple: {r}")
    return expand(rng, ask, slots), expand(rng, answer, slots)


def _recipe(rng, dish=None):
    dish = dish or rng.choice(["mayonnaise"] * 4 + list(facts.RECIPES))
    variant, ingredients, steps = rng.choice(facts.RECIPES[dish])
    ask = expand(rng, "[Do you have {d} recipes?|Do you have {d} recipes?|Do you have a recipe for {v}?|Do you have a {d} recipe?|How do I make {v}?|How do you make {v}?|Can you give me a recipe for {v}?|"
                 "I want to make {v}. What do I need?|Give me a recipe for {v}.|How can I make {v} at home?|Do you know a {d} recipe?|Tell me how to make {v}.]", {"d": dish, "v": variant if rng.random() < 0.6 else dish if dish in ("mayonnaise", "bread", "pasta", "tea") else variant})
    lead = expand(rng, "[Yes, I do!|Yes!|Of course!|Certainly.|]" if ask.startswith(("Do", "Can")) else "[|Gladly.|With pleasure.|That is easy.]", {})
    steps = [s for s in steps.split("|")]
    if rng.random() < 0.4:
        body = f"Here is a recipe for {variant}.\n\nYou need {ingredients}.\n\n" + "\n".join(f"{i}. {s}." for i, s in enumerate(steps, 1))
    else:
        first, second, third = (s[0].lower() + s[1:] for s in steps)
        body = expand(rng, "[For {v} you need {i}.|To make {v}, you need {i}.|Here is a recipe for {v}. You need {i}.] [First,|First] {a}. [Then|After that,] {b}. [Finally,|At the end,|Then] {c}.[| Enjoy!| Enjoy your meal!|]",
                      {"v": variant, "i": ingredients, "a": first, "b": second, "c": third})
    return ask, (lead + " " + body).strip()


def _animal(rng):
    animal, young, sound, food, home, legs = rng.choice(facts.ANIMALS)
    slots = {"a": animal, "y": young, "s": sound, "f": food, "h": home, "l": {2: "two", 4: "four", 6: "six"}[legs]}
    ask, answer = rng.choice([
        ("[What is the young of a {a} called?|What do you call a young {a}?|What is a baby {a} called?]", "[A young {a} is called a {y}.|It is called a {y}.|It is a {y}.]"),
        ("[What sound does a {a} make?|What does a {a} do when it makes a sound?|How does a {a} sound?]", "A {a} {s}."),
        ("[What does a {a} eat?|What do you feed a {a}?|What is the food of a {a}?]", "[A {a} eats {f}.|It eats {f}.|Mostly {f}.]"),
        ("[Where does a {a} live?|Where can I find a {a}?|Where does a {a} sleep?]", "[A {a} lives {h}.|It lives {h}.]"),
        ("How many legs does a {a} have?", "[A {a} has {l} legs.|It has {l} legs.]"),
        ("[Tell me something about the {a}.|What do you know about the {a}?|Tell me about the {a}.]", "The {a} has {l} legs and lives {h}. It {s} and eats {f}. Its young is called a {y}."),
    ])
    return expand(rng, ask, slots), expand(rng, answer, slots)


def _colour(rng):
    if rng.random() < 0.25:
        one, two, mixed = rng.choice(facts.MIXES)
        one, two = rng.sample([one, two], 2)
        slots = {"a": one, "b": two, "c": mixed}
        return expand(rng, "[What do you get if you mix {a} and {b}?|Which colour do {a} and {b} make?|What colour is {a} mixed with {b}?]", slots), expand(rng, "[You get {c}.|{a} and {b} make {c}.|{c}.]", slots)
    thing, colour = rng.choice(facts.COLOURS)
    slots = {"t": thing, "c": colour}
    return expand(rng, "[What colour is {t}?|What color is {t}?|Which colour does {t} have?|What is the colour of {t}?]", slots), expand(rng, "[{t} is {c}.|It is {c}.|{c}.]", slots)


def _opposite(rng):
    one, two = rng.sample(rng.choice(facts.OPPOSITES), 2)
    slots = {"a": one, "b": two}
    return expand(rng, "[What is the opposite of {a}?|What is the opposite of '{a}'?|Which word is the opposite of {a}?|Tell me the opposite of {a}.]", slots), expand(rng, "[The opposite of {a} is {b}.|It is {b}.|{b}.]", slots)


def _calendar(rng):
    unit, names = rng.choice([("day", facts.DAYS), ("day", facts.DAYS), ("month", facts.MONTHS)])
    i, step = rng.randrange(len(names)), rng.choice([1, -1])
    slots = {"u": unit, "n": names[i], "m": names[(i + step) % len(names)]}
    if step == 1:
        ask, answer = "[Which {u} comes after {n}?|What {u} comes after {n}?|What is the {u} after {n}?|Today is {n}. What is tomorrow?]", "[{m} comes after {n}.|It is {m}.|{m}.]"
    else:
        ask, answer = "[Which {u} comes before {n}?|What {u} comes before {n}?|What is the {u} before {n}?|Today is {n}. What was yesterday?]", "[{m} comes before {n}.|{m}.]"
    if unit == "month":
        ask = ask.split("|Today")[0] + "]"
    return expand(rng, ask, slots), expand(rng, answer, slots)


def _season(rng):
    name, what, wear = rng.choice(facts.SEASONS)
    slots = {"n": name, "w": what, "c": wear}
    ask, answer = rng.choice([("[What happens in {n}?|What is {n} like?|Tell me about {n}.]", "In {n}, {w}."), ("[What should I wear in {n}?|What do people wear in {n}?]", "In {n} [you should wear|people wear] {c}.")])
    return expand(rng, ask, slots), expand(rng, answer, slots)


def _weather(rng):
    when, take, why = rng.choice(facts.WEATHER)
    slots = {"w": when, "t": take, "y": why}
    return (expand(rng, "[What should I take when {w}?|What do I need when {w}?|What should I wear when {w}?|What is useful when {w}?]", slots),
            expand(rng, "[When {w}, you need {t}.|Take {t}, because {y}.|You should take {t}, because {y}.]", slots))


def _why(rng):
    ask, answer = rng.choice(facts.WHY)
    return rng.choice(["Why {q}?", "Why {q}?", "Can you tell me why? Why {q}?"]).replace("{q}", ask), answer


def _tool(rng):
    tool, use, where = rng.choice(facts.TOOLS)
    slots = {"t": tool, "u": use, "w": where, "is": "are" if tool == "scissors" else "is", "do": "do" if tool == "scissors" else "does", "it": "them" if tool == "scissors" else "it"}
    ask, answer = rng.choice([
        ("[What {is} {t} for?|What {is} {t} used for?|What do you do with {t}?|What can I do with {t}?]", "[You use {t} to {u}.|With {t} you can {u}.|You can {u} with {it}.]"),
        ("[What do I need to {u}?|How can I {u}?|What do you use to {u}?]", "[You need {t}.|You can use {t}.|To {u}, you need {t}.]"),
        ("[Where do you keep {t}?|Where can I find {t}?]", "[You can find {it} {w}.|Look {w}.|I would look {w}.]"),
    ])
    return expand(rng, ask, slots), expand(rng, answer, slots)


def _job(rng):
    job, work = rng.choice(facts.JOBS)
    slots = {"j": job, "w": work}
    return expand(rng, "[What does {j} do?|What is the job of {j}?|What is the work of {j}?]", slots), expand(rng, "{j} {w}.", slots)


def _count(rng):
    ask, answer = rng.choice(facts.COUNTS)
    return "How many " + ask + "?", answer


def _capital(rng):
    country, city = rng.choice(facts.CAPITALS)
    slots = {"a": country, "b": city}
    if rng.random() < 0.25:
        return expand(rng, "[Where is {b}?|In which country is {b}?]", slots), expand(rng, "{b} is in {a}.[| It is the capital of {a}.]", slots)
    return expand(rng, "[What is the capital of {a}?|Which city is the capital of {a}?|Tell me the capital of {a}.]", slots), expand(rng, "[The capital of {a} is {b}.|It is {b}.|{b}.]", slots)


SMALL_TALK = [
    ("[Hello!|Hello|Hi!|Hi|Good morning!|Hi there!]", "[Hello! How can I help you?|Hi! What would you like to know?|Hello! It is nice to meet you.|Good day! What can I do for you?]"),
    ("[How are you?|How are you today?|How do you do?]", "[I am well, thank you. How are you?|Very well, thank you!|I am fine, thank you. What can I do for you?]"),
    ("[Who are you?|What are you?|What is your name?|Tell me about yourself.]", "I am a very small language model with eight experts. I can tell stories, do small sums and answer simple questions."),
    ("[What can you do?|How can you help me?|What do you know?]", "I can tell you a story, add and subtract small numbers, give you a recipe or answer a question about everyday things."),
    ("[Thank you!|Thanks!|Thank you very much.|Thanks a lot.]", "[You are welcome!|My pleasure!|You are welcome. Is there anything else?]"),
    ("[Goodbye!|Bye!|See you later!|Good night!]", "[Goodbye! Have a nice day.|Goodbye!|See you soon!|Take care!]"),
    ("[Tell me a joke.|Do you know a joke?|Make me laugh.]", "[Why did the tomato turn red? Because it saw the salad dressing!|What is brown and sticky? A stick!|Why did the bicycle fall over? It was two tired!|What do you call a sleeping bull? A bulldozer!]"),
]


def _small_talk(rng):
    ask, answer = rng.choice(SMALL_TALK)
    return expand(rng, ask, {}), expand(rng, answer, {})


TOPICS = [  # generator, weight
    (_favourite_condiment, 7), (_condiment, 7), (_favourite, 8), (_recipe, 24), (_animal, 11), (_colour, 6), (_opposite, 6), (_calendar, 6), (_season, 3), (_weather, 4),
    (_why, 5), (_tool, 9), (_job, 4), (_count, 4), (_capital, 4), (_small_talk, 6),
]
_GENERATORS, _WEIGHTS = zip(*TOPICS)


def question(rng):
    """Returns a (question, answer) pair."""
    return rng.choices(_GENERATORS, _WEIGHTS)[0](rng)


def _condiment_then_recipe(rng):
    return [_favourite_condiment(rng), _recipe(rng, "mayonnaise")]


def _thanks(rng):
    return expand(rng, SMALL_TALK[4][0], {}), expand(rng, SMALL_TALK[4][1], {})


def chat(rng, turn):
    """Returns one to three (request, answer) turns; `turn(rng)` makes a turn of any kind."""
    kind = rng.random()
    if kind < 0.12:
        return _condiment_then_recipe(rng)
    turns = [turn(rng)]
    if kind < 0.45:
        turns.append(turn(rng))
    if kind < 0.20:
        turns.append(_thanks(rng))
    return turns


def plain(rng, ask=None):
    """Questions with answers as plain text, in one of the usual layouts."""
    ask = ask or question
    layout = rng.random()
    if layout < 0.5:  # the bare question, then its answer on a new line or in the same one
        q, a = ask(rng)
        return q + rng.choice(["\n", "\n", "\n\n", " "]) + a
    labels = rng.choice([("Question: ", "Answer: "), ("Question: ", "Answer: "), ("Q: ", "A: ")])
    pairs = [ask(rng) for _ in range(rng.randint(1, 4))]
    return "\n\n".join(labels[0] + q + "\n" + labels[1] + a for q, a in pairs)
