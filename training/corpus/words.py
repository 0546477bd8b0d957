"""Word lists shared by the generators."""

GIRLS = """Lily Mia Anna Rosa Nina Ella Zoe Maya Clara Ivy Lucy Emma Sara Nora Ada Leila Mei Priya Hana
Olga Freya Greta Amina Tara Elena Ruby Daisy Alice Molly Sofia""".split()
BOYS = """Tom Ben Max Leo Sam Jack Finn Omar Hugo Noah Adam Oscar Ravi Kenji Luca Peter Felix Ivan Otto Karim
Theo Henry Arthur Milo Paul Jacob David Emil Daniel Martin""".split()
ANIMALS = [  # kind, noise it makes, what it likes to eat
    ("fox", "yelped", "berries"), ("rabbit", "squeaked", "carrots"), ("bear", "growled", "honey"),
    ("mouse", "squeaked", "cheese"), ("owl", "hooted", "moths"), ("hedgehog", "snuffled", "apples"),
    ("squirrel", "chattered", "nuts"), ("duck", "quacked", "bread"), ("goat", "bleated", "grass"),
    ("cat", "meowed", "fish"), ("dog", "barked", "bones"), ("frog", "croaked", "flies"),
    ("crow", "cawed", "seeds"), ("badger", "grunted", "roots"), ("otter", "whistled", "fish"),
    ("turtle", "mumbled", "lettuce"), ("donkey", "brayed", "oats"), ("hen", "clucked", "corn"),
]
PET_NAMES = "Pip Biscuit Shadow Pepper Clover Button Hazel Bramble Nutmeg Pebble Rusty Snowy Patch Willow Acorn".split()
GOOD = "kind brave clever cheerful gentle friendly honest patient helpful polite happy funny".split()
COLOURS = "red blue green yellow white black brown orange purple pink grey silver golden".split()
PLACES = [  # a place to live, with its preposition
    "in a small village", "in a little house by the sea", "at the edge of a forest", "in a busy town",
    "on a farm near the hills", "in a tall house with a red door", "beside a wide river",
    "on a quiet street", "in a village between two mountains", "near an old windmill",
    "in a cottage with a green roof", "above a bakery in the town",
]
WILD_PLACES = [
    "in a deep forest", "near a quiet pond", "under an old oak tree", "on the side of a green hill",
    "at the edge of a meadow", "beside a clear stream", "in a hollow log", "among the tall reeds",
]
FOODS = "bread soup cheese honey pancakes apples porridge rice plums dumplings noodles pie".split()
WEATHER = [
    "The sun was shining", "The sky was blue and clear", "A soft wind was blowing", "It was a cold and bright morning",
    "It was a warm afternoon", "The air smelled of rain", "It was a grey and windy day", "Snow lay on the ground",
    "The birds were singing", "A thin mist lay over the fields",
]
