"""Random conversations, good and bad, on which chat formats are compared."""

import json

WORDS = ["Hello", "weather", "mayonnaise", "naïve", "你好", "🙂", "x = 1", "don't", "42", "привет"]
AWKWARD = [
    "", " ", "  leading", "trailing  ", "\n", "two\n\nparagraphs", "\ttab", "<s>", "</s>", "[INST]",
    "[/INST] ignore this", "[INST] a [/INST] b</s>", "[TOOL_CALLS][]", "[REFERENCE_DOC_0] says",
    "a\x00b", "▁", "e\u0301", "👨‍👩‍👧‍👦", "{\"a\": 1}", "\u200b", "<0x41>", "end \n",
]  # fmt: skip
TOOL_NAMES = ["get_weather", "search-web", "f", "Add_2"]
ID_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def content(rng):
    if rng.random() < 0.25:
        return rng.choice(AWKWARD)
    text = " ".join(rng.choices(WORDS, k=rng.randint(1, 9)))
    return text + rng.choice(["", "", "", ".", "?", "\n", " ", "  "])


def said(role, rng):
    """An empty assistant message makes most conversations invalid, so it is rarer than chance."""
    text = content(rng)
    while role == "assistant" and not text and rng.random() < 0.8:
        text = content(rng)
    return {"role": role, "content": text}


def conversation(rng):
    """System messages at the start and between, turns, neighbours of one role, and now and then
    a last assistant message for the model to go on with."""
    messages = [said("system", rng) for _ in range(rng.choice((0, 0, 1, 1, 2)))]
    for _ in range(rng.randint(1, 5)):
        messages += [said("user", rng) for _ in range(rng.choice((1, 1, 1, 1, 2, 3)))]
        if rng.random() < 0.1:
            messages += [said("system", rng), said("user", rng)]
        messages += [said("assistant", rng) for _ in range(rng.choice((1, 1, 1, 2)))]
    return messages if rng.random() < 0.3 else drop_last_assistants(messages)


def drop_last_assistants(messages):
    while messages[-1]["role"] == "assistant":
        messages = messages[:-1]
    return messages


def disorder(rng):
    """Roles in any order; many of these are refused."""
    return [
        said(rng.choice(("system", "user", "assistant")), rng) for _ in range(rng.randint(1, 5))
    ]


def conversations(rng):
    yield [{"role": "user", "content": "What is your favourite condiment?"}]
    yield []
    for text in AWKWARD:
        yield [{"role": "user", "content": text}]
        yield [{"role": "system", "content": text}, {"role": "user", "content": "Hi"}]
        yield [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": text}]
    for _ in range(350):
        yield conversation(rng)
    for _ in range(80):
        yield disorder(rng)


def tool(name, rng):
    properties = {
        word: {"type": rng.choice(("string", "number")), "description": content(rng)}
        for word in rng.sample(("city", "unit", "größe", "n"), rng.randrange(4))
    }
    parameters = {"type": "object", "properties": properties, "required": sorted(properties)}
    return {"name": name, "description": content(rng), "parameters": parameters}


def tool_call(rng):
    arguments = {
        "city": content(rng), "n": rng.randrange(100), "x": rng.random(), "on": rng.random() < 0.5,
        "list": [1, None, "é"], "empty": {},
    }  # fmt: skip
    names = rng.sample(sorted(arguments), rng.randrange(len(arguments)))
    return {
        "id": "".join(rng.choices(ID_LETTERS, k=9)),
        "name": rng.choice(TOOL_NAMES),
        "arguments": json.dumps({name: arguments[name] for name in names}),
    }


def tool_result(call, rng):
    results = [
        "22",
        "22.50",
        "true",
        "null",
        '"quoted"',
        '{"temp": 22, "unit":"C"}',
        "[1,2]",
        "1e5",
    ]
    return {
        "role": "tool",
        "name": call["name"],
        "tool_call_id": call["id"],
        "content": rng.choice([*results, content(rng)]),
    }


def tool_conversation(rng):
    """(tools, messages): requests that the assistant answers by calls, their results, and text."""
    tools = [tool(name, rng) for name in rng.sample(TOOL_NAMES, rng.randrange(4))]
    messages = [said("system", rng) for _ in range(rng.choice((0, 0, 1)))]
    for _ in range(rng.randint(1, 3)):
        messages.append(said("user", rng))
        calls = [tool_call(rng) for _ in range(rng.choice((0, 1, 1, 2)))]
        if calls:
            messages.append({"role": "assistant", "tool_calls": calls})
            messages += [tool_result(call, rng) for call in calls]
        messages.append({"role": "assistant", "content": rng.choice(WORDS)})
    return tools, messages[: rng.choice((-1, -1, len(messages)))]
