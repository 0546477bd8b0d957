"""Tiny Python functions: a task, the function, and sometimes an example of its use."""

from .grammar import expand

TASKS = [
    # name, task, parameters, body, example call, example result
    ("add", "adds two numbers", "{x}, {y}", "return {x} + {y}", "add(2, 3)", "5"),
    ("subtract", "subtracts one number from another", "{x}, {y}", "return {x} - {y}", "subtract(7, 3)", "4"),
    ("multiply", "multiplies two numbers", "{x}, {y}", "return {x} * {y}", "multiply(4, 5)", "20"),
    ("square", "squares a number", "{x}", "return {x} * {x}", "square(6)", "36"),
    ("double", "doubles a number", "{x}", "return 2 * {x}", "double(8)", "16"),
    ("is_even", "checks whether a number is even", "{x}", "return {x} % 2 == 0", "is_even(4)", "True"),
    ("is_odd", "checks whether a number is odd", "{x}", "return {x} % 2 == 1", "is_odd(4)", "False"),
    ("is_positive", "checks whether a number is positive", "{x}", "return {x} > 0", "is_positive(3)", "True"),
    ("absolute", "returns the absolute value of a number", "{x}", "if {x} < 0:\n        return -{x}\n    return {x}", "absolute(-5)", "5"),
    ("larger", "returns the larger of two numbers", "{x}, {y}", "if {x} > {y}:\n        return {x}\n    return {y}", "larger(3, 9)", "9"),
    ("smaller", "returns the smaller of two numbers", "{x}, {y}", "if {x} < {y}:\n        return {x}\n    return {y}", "smaller(3, 9)", "3"),
    ("average", "returns the average of a list", "{items}", "return sum({items}) / len({items})", "average((2, 4, 6))", "4.0"),
    ("total", "adds up all numbers of a list", "{items}", "{result} = 0\n    for {item} in {items}:\n        {result} += {item}\n    return {result}", "total((1, 2, 3))", "6"),
    ("product", "multiplies all numbers of a list", "{items}", "{result} = 1\n    for {item} in {items}:\n        {result} *= {item}\n    return {result}", "product((2, 3, 4))", "24"),
    ("largest", "finds the largest number of a list", "{items}", "{result} = {items}_0\n    for {item} in {items}:\n        if {item} > {result}:\n            {result} = {item}\n    return {result}", "largest((3, 8, 5))", "8"),
    ("count_even", "counts the even numbers of a list", "{items}", "{result} = 0\n    for {item} in {items}:\n        if {item} % 2 == 0:\n            {result} += 1\n    return {result}", "count_even((1, 2, 4))", "2"),
    ("contains", "checks whether a list contains a value", "{items}, value", "for {item} in {items}:\n        if {item} == value:\n            return True\n    return False", "contains((1, 2), 2)", "True"),
    ("factorial", "computes the factorial of a number", "n", "if n == 0:\n        return 1\n    return n * factorial(n - 1)", "factorial(4)", "24"),
    ("fibonacci", "computes a Fibonacci number", "n", "if n < 2:\n        return n\n    return fibonacci(n - 1) + fibonacci(n - 2)", "fibonacci(7)", "13"),
    ("power", "raises a number to a power", "{x}, n", "{result} = 1\n    for i in range(n):\n        {result} *= {x}\n    return {result}", "power(2, 5)", "32"),
    ("sum_to", "adds the numbers from 1 to n", "n", "{result} = 0\n    for i in range(1, n + 1):\n        {result} += i\n    return {result}", "sum_to(4)", "10"),
    ("greet", "greets a person by name", "name", "return 'Hello, ' + name + '!'", "greet('Mia')", "Hello, Mia!"),
    ("shout", "turns a text into capital letters", "text", "return text.upper()", "shout('hello')", "HELLO"),
    ("count_words", "counts the words of a text", "text", "return len(text.split())", "count_words('a red hat')", "3"),
    ("reverse", "reverses a text", "text", "{result} = ''\n    for {item} in text:\n        {result} = {item} + {result}\n    return {result}", "reverse('abc')", "cba"),
    ("repeat", "repeats a text a number of times", "text, n", "return text * n", "repeat('ha', 3)", "hahaha"),
    ("countdown", "prints a countdown", "n", "while n > 0:\n        print(n)\n        n = n - 1", None, None),
    ("print_table", "prints the first ten multiples of a number", "n", "for i in range(1, 11):\n        print(n * i)", None, None),
    ("minutes", "turns hours into minutes", "hours", "return 60 * hours", "minutes(2)", "120"),
    ("area", "computes the area of a rectangle", "width, height", "return width * height", "area(3, 4)", "12"),
]


def _function(rng):
    name, task, parameters, body, call, value = rng.choice(TASKS)
    x, y = rng.choice([("a", "b"), ("x", "y"), ("first", "second")])
    slots = {"x": x, "y": y, "items": rng.choice(["numbers", "values", "items"]), "item": rng.choice(["n", "value", "x"]),
             "result": rng.choice(["result", "answer"])}
    if name in ("contains",):
        slots["item"] = "x"
    if name == "reverse":
        slots["item"] = "letter"
    for key, word in slots.items():
        parameters, body = parameters.replace("{" + key + "}", word), body.replace("{" + key + "}", word)
    body = body.replace("_0", "[0]")
    doc = f'    """{task[0].upper()}{task[1:]}."""\n' if rng.random() < 0.3 else ""
    source = f"def {name}({parameters}):\n{doc}    {body}\n"
    if call and rng.random() < 0.5:
        source += f"\nprint({call.replace('((', '([').replace('))', '])')})  # {value}\n"
    return task, source


def plain(rng):
    """A small module of one to three functions."""
    parts = []
    for _ in range(rng.randint(1, 3)):
        task, source = _function(rng)
        parts.append((f"# A function that {task}.\n" if rng.random() < 0.4 else "") + source)
    return "\n".join(parts)


ASK = ["Write a Python function that {task}.", "Write a function that {task}.", "Can you write a Python function that {task}?", "I need a function that {task}."]
LEAD = ["", "", "Here is a function that {task}:\n\n", "Here it is:\n\n", "Here you are:\n\n"]


def chat(rng):
    task, source = _function(rng)
    return expand(rng, rng.choice(ASK), {"task": task}), rng.choice(LEAD).replace("{task}", task) + source.rstrip("\n")
