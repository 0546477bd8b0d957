"""Facts about everyday things, as rows. The wordings that turn them into questions are in questions.py."""

ANIMALS = [  # animal, young, sound, food, home, legs
    ("dog", "puppy", "barks", "meat and bones", "in a kennel or in a house", 4), ("cat", "kitten", "meows", "fish and mice", "in a house", 4),
    ("cow", "calf", "moos", "grass", "in a barn", 4), ("horse", "foal", "neighs", "hay and oats", "in a stable", 4),
    ("sheep", "lamb", "bleats", "grass", "on a meadow", 4), ("goat", "kid", "bleats", "leaves and grass", "in a barn", 4),
    ("pig", "piglet", "grunts", "roots and scraps", "in a sty", 4), ("hen", "chick", "clucks", "corn and worms", "in a hen house", 2),
    ("duck", "duckling", "quacks", "water plants and snails", "on a pond", 2), ("lion", "cub", "roars", "meat", "in the grassland", 4),
    ("bear", "cub", "growls", "berries, fish and honey", "in a cave", 4), ("frog", "tadpole", "croaks", "flies", "in a pond", 4),
    ("owl", "owlet", "hoots", "mice", "in a hollow tree", 2), ("bee", "larva", "buzzes", "nectar", "in a hive", 6),
    ("mouse", "pup", "squeaks", "grain and cheese", "in a hole", 4), ("wolf", "pup", "howls", "meat", "in a den", 4),
    ("elephant", "calf", "trumpets", "leaves and fruit", "in the grassland", 4), ("rabbit", "kit", "squeaks", "grass and carrots", "in a burrow", 4),
]
COLOURS = [
    ("the sky", "blue"), ("grass", "green"), ("snow", "white"), ("a ripe tomato", "red"), ("a banana", "yellow"), ("a lemon", "yellow"),
    ("coal", "black"), ("milk", "white"), ("a carrot", "orange"), ("chocolate", "brown"), ("an elephant", "grey"), ("blood", "red"),
    ("the sun", "yellow"), ("a leaf in summer", "green"), ("a flamingo", "pink"), ("a crow", "black"), ("a plum", "purple"), ("a cucumber", "green"),
    ("salt", "white"), ("the sea", "blue"), ("a pumpkin", "orange"), ("a strawberry", "red"), ("a polar bear", "white"), ("mustard", "yellow"), ("mayonnaise", "white"), ("ketchup", "red"),
]
MIXES = [("blue", "yellow", "green"), ("red", "yellow", "orange"), ("red", "blue", "purple"), ("black", "white", "grey"), ("red", "white", "pink")]
OPPOSITES = [
    ("hot", "cold"), ("big", "small"), ("fast", "slow"), ("up", "down"), ("left", "right"), ("day", "night"), ("old", "new"), ("happy", "sad"), ("light", "dark"),
    ("wet", "dry"), ("open", "closed"), ("full", "empty"), ("hard", "soft"), ("loud", "quiet"), ("early", "late"), ("rich", "poor"), ("strong", "weak"), ("tall", "short"),
    ("good", "bad"), ("sweet", "sour"), ("clean", "dirty"), ("first", "last"), ("near", "far"), ("thick", "thin"), ("high", "low"), ("inside", "outside"), ("true", "false"),
    ("win", "lose"), ("give", "take"), ("begin", "end"), ("laugh", "cry"), ("push", "pull"), ("summer", "winter"), ("warm", "cool"), ("easy", "difficult"), ("brave", "afraid"),
]
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
SEASONS = [  # season, what happens, what to wear
    ("spring", "the flowers begin to bloom and the birds build their nests", "a light jacket"), ("summer", "the days are long and warm", "a T-shirt and a sun hat"),
    ("autumn", "the leaves turn red and yellow and fall from the trees", "a warm sweater"), ("winter", "the days are short and it often snows", "a thick coat, a scarf and gloves"),
]
WEATHER = [  # weather, what to take or do, reason
    ("it rains", "an umbrella and rubber boots", "they keep you dry"), ("it is cold", "a warm coat and gloves", "they keep you warm"),
    ("it is hot", "a hat and plenty of water", "the sun is strong"), ("it snows", "thick boots and a scarf", "the snow is cold and deep"),
    ("it is windy", "a jacket with a hood", "it stops the wind"), ("the sun shines", "a hat and sunglasses", "they protect you from the sun"),
    ("it is foggy", "a lamp and a bright jacket", "others must be able to see you"),
]
WHY = [
    ("does it rain", "Water from the sea and the lakes rises into the air, forms clouds and falls down again as rain."),
    ("does ice melt", "Ice melts when it gets warmer than zero degrees, and then it turns into water."),
    ("do birds fly south in winter", "In winter they find little food in the north, so they fly to warmer places."),
    ("do we sleep", "While we sleep, the body rests and the mind sorts what happened during the day."),
    ("do leaves fall in autumn", "The tree drops its leaves to save water in the cold months."),
    ("do bees visit flowers", "They collect nectar to make honey, and they carry pollen from flower to flower."),
    ("does bread rise", "Yeast makes small bubbles of gas in the dough, and the bubbles make it rise."),
    ("do we wash our hands", "Soap and water remove dirt and germs, so we stay healthy."),
    ("is the sky blue", "The air scatters the blue part of the sunlight more than the red part."),
    ("is the sea salty", "Rivers wash salt out of the rocks and carry it into the sea."),
    ("do cats purr", "Cats often purr when they feel safe and happy."),
    ("do we have day and night", "The earth turns around itself once a day, so each side faces the sun for a part of the time."),
    ("do onions make us cry", "A cut onion lets out a gas that stings the eyes."),
    ("does a boat float", "A boat pushes away water that weighs as much as the boat itself, so the water carries it."),
    ("do we brush our teeth", "Brushing removes bits of food and keeps the teeth strong and clean."),
]
TOOLS = [  # tool, what for (verb phrase), room
    ("a hammer", "drive in nails", "in the tool box"), ("a saw", "cut wood", "in the tool box"), ("a needle", "sew clothes", "in the sewing box"), ("a broom", "sweep the floor", "in the cupboard"),
    ("a knife", "cut bread", "in the kitchen"), ("a spoon", "eat soup", "in the kitchen"), ("a kettle", "boil water", "in the kitchen"), ("an oven", "bake bread", "in the kitchen"),
    ("a lamp", "light a room", "in the living room"), ("a towel", "dry your hands", "in the bathroom"), ("a key", "open a lock", "near the door"), ("a pen", "write a letter", "on the desk"),
    ("a ladder", "reach high places", "in the shed"), ("an umbrella", "keep off the rain", "near the door"), ("a clock", "tell the time", "on the wall"), ("an iron", "smooth clothes", "in the cupboard"),
    ("a fridge", "keep food cold", "in the kitchen"), ("a bucket", "carry water", "in the shed"), ("soap", "wash your hands", "in the bathroom"), ("a map", "find the way", "in the drawer"),
    ("scissors", "cut paper", "in the drawer"), ("a whisk", "beat eggs", "in the kitchen"), ("a thermometer", "measure the temperature", "on the wall"), ("a pillow", "rest your head", "in the bedroom"),
]
JOBS = [
    ("a baker", "bakes bread and cakes"), ("a farmer", "grows food and looks after animals"), ("a teacher", "helps children learn"), ("a doctor", "helps sick people"), ("a carpenter", "makes things out of wood"),
    ("a tailor", "sews clothes"), ("a gardener", "looks after plants"), ("a fisherman", "catches fish"), ("a cook", "prepares meals"), ("a pilot", "flies planes"), ("a vet", "treats sick animals"),
    ("a librarian", "looks after books"), ("a plumber", "repairs pipes"), ("a firefighter", "puts out fires"), ("a painter", "paints pictures or walls"), ("a postman", "brings letters"),
]
COUNTS = [
    ("days are there in a week", "There are seven days in a week."), ("months are there in a year", "There are twelve months in a year."), ("hours are there in a day", "A day has 24 hours."),
    ("minutes are there in an hour", "An hour has 60 minutes."), ("seconds are there in a minute", "A minute has 60 seconds."), ("seasons are there", "There are four seasons: spring, summer, autumn and winter."),
    ("legs does a spider have", "A spider has eight legs."), ("legs does an insect have", "An insect has six legs."), ("wheels does a bicycle have", "A bicycle has two wheels."),
    ("wheels does a car have", "A car has four wheels."), ("fingers are there on a hand", "A hand has five fingers."), ("sides does a triangle have", "A triangle has three sides."),
    ("sides does a square have", "A square has four equal sides."), ("eggs are there in a dozen", "A dozen is twelve, so there are twelve eggs."), ("days are there in a year", "A year has 365 days, and a leap year has 366."),
    ("letters are there in the alphabet", "The English alphabet has 26 letters."), ("arms does an octopus have", "An octopus has eight arms."), ("weeks are there in a year", "There are 52 weeks in a year."),
]
CAPITALS = [
    ("France", "Paris"), ("Germany", "Berlin"), ("Italy", "Rome"), ("Spain", "Madrid"), ("Japan", "Tokyo"), ("England", "London"), ("Egypt", "Cairo"), ("Greece", "Athens"), ("Norway", "Oslo"),
    ("Sweden", "Stockholm"), ("Poland", "Warsaw"), ("Portugal", "Lisbon"), ("Austria", "Vienna"), ("Ireland", "Dublin"), ("China", "Beijing"), ("Canada", "Ottawa"), ("Kenya", "Nairobi"), ("Peru", "Lima"),
]
CONDIMENTS = [  # condiment, taste, what it goes with, what it is made of
    ("mustard", "sharp and warm", "sausages, sandwiches and cheese", "mustard seeds, vinegar and salt"), ("mayonnaise", "rich and creamy", "chips, sandwiches and potato salad", "egg yolks, oil and lemon juice"),
    ("ketchup", "sweet and sour", "chips, burgers and eggs", "tomatoes, sugar and vinegar"), ("soy sauce", "salty and deep", "rice, noodles and fish", "soy beans, wheat and salt"),
    ("lemon juice", "fresh and sour", "fish, salad and vegetables", "fresh lemons"), ("hot sauce", "hot and sour", "eggs, beans and tacos", "chillies, vinegar and salt"),
    ("honey mustard", "sweet and sharp", "chicken and salad", "honey and mustard"), ("pesto", "fresh and nutty", "pasta, bread and tomatoes", "basil, oil, nuts and cheese"),
    ("vinegar", "sour and light", "salad and chips", "wine or apples"), ("horseradish", "hot and fresh", "beef and smoked fish", "the root of the horseradish plant"),
    ("tahini", "nutty and mild", "chickpeas, salad and bread", "ground sesame seeds"), ("olive oil", "mild and fruity", "bread, salad and pasta", "ripe olives"),
    ("chutney", "sweet and spicy", "cheese, curry and cold meat", "fruit, sugar, vinegar and spices"), ("salsa", "fresh and hot", "tacos, beans and eggs", "tomatoes, onions and chillies"),
]
FAVOURITES = {  # kind of thing: rows of (thing, reason)
    "colour": [("blue", "it reminds me of the sea"), ("green", "it is the colour of the forest"), ("yellow", "it is as bright as the sun"), ("red", "it is warm and strong"), ("purple", "it looks like the evening sky")],
    "animal": [("the otter", "it is playful and clever"), ("the dog", "it is a loyal friend"), ("the owl", "it flies without a sound"), ("the elephant", "it is wise and gentle"), ("the cat", "it is quiet and soft")],
    "season": [("spring", "everything begins to bloom"), ("summer", "the days are long and warm"), ("autumn", "the leaves turn red and gold"), ("winter", "I like the snow and the quiet")],
    "food": [("fresh bread", "it smells so good"), ("tomato soup", "it is warm and simple"), ("pasta", "it goes with almost everything"), ("pancakes", "they are soft and sweet"), ("rice with vegetables", "it is light and tasty")],
    "fruit": [("the apple", "it is crisp and sweet"), ("the pear", "it is soft and juicy"), ("the strawberry", "it tastes of summer"), ("the orange", "it is fresh and full of juice"), ("the plum", "it makes the best cake")],
    "drink": [("tea with lemon", "it keeps me warm"), ("hot cocoa", "it is sweet and rich"), ("apple juice", "it tastes of autumn"), ("cold water", "nothing is better on a hot day"), ("coffee", "it smells wonderful")],
    "day": [("Saturday", "there is time to bake and to read"), ("Sunday", "the day begins slowly"), ("Friday", "the weekend is near")],
    "dessert": [("apple cake", "it smells of cinnamon"), ("chocolate pudding", "it is smooth and rich"), ("plum cake", "it is sweet and a little sour"), ("lemon ice cream", "it is fresh and cold")],
    "book": [("a book of old fairy tales", "each story takes me to another world"), ("a cookbook", "I like to read about food"), ("a book about the stars", "the sky is full of wonders")],
    "game": [("chess", "every game is different"), ("hide and seek", "everybody can play it"), ("cards", "you need only a table and a friend")],
    "sauce": [("tomato sauce", "it is simple and full of flavour"), ("pesto", "it is fresh and nutty"), ("mayonnaise", "it is rich and creamy"), ("mushroom sauce", "it goes well with potatoes")],
    "spice": [("cinnamon", "it makes every cake smell good"), ("pepper", "it goes with almost everything"), ("paprika", "it is warm and sweet"), ("ginger", "it is fresh and hot")],
    "vegetable": [("the carrot", "it is crisp and sweet"), ("the tomato", "it tastes of summer"), ("the potato", "you can cook it in so many ways"), ("spinach", "it is green and healthy")],
}
RECIPES = {  # dish: rows of (variant, ingredients, steps)
    "mayonnaise": [
        ("classic mayonnaise", "one egg yolk, one spoon of mustard, a cup of oil, a little lemon juice and a pinch of salt", "Whisk the egg yolk with the mustard and the salt|Add the oil drop by drop and keep whisking until it is thick|Stir in the lemon juice at the end"),
        ("garlic mayonnaise", "one egg yolk, two cloves of garlic, a cup of olive oil and a little lemon juice", "Crush the garlic and mix it with the egg yolk|Pour in the oil very slowly while you whisk|Add the lemon juice and some salt"),
        ("herb mayonnaise", "a cup of mayonnaise, a handful of parsley, some chives and a little lemon juice", "Chop the parsley and the chives finely|Stir them into the mayonnaise|Add the lemon juice and let it rest in the fridge for an hour"),
        ("spicy mayonnaise", "a cup of mayonnaise, one spoon of hot sauce and a pinch of paprika", "Put the mayonnaise into a bowl|Stir in the hot sauce and the paprika|Taste it and add a little salt"),
        ("mayonnaise without eggs", "half a cup of milk, a cup of oil, one spoon of mustard and some lemon juice", "Pour the cold milk and the oil into a tall jar|Mix them with a hand blender until they are thick|Add the mustard, the lemon juice and some salt"),
        ("lemon mayonnaise", "two egg yolks, a cup of oil, the juice of one lemon and a pinch of salt", "Whisk the egg yolks with the salt|Add the oil slowly until the sauce is thick|Stir in the lemon juice and a little grated peel"),
    ],
    "pancake": [("pancakes", "two eggs, a cup of milk, a cup of flour and a pinch of salt", "Mix the eggs, the milk and the flour|Heat a little butter in a pan|Pour in some batter and bake it on both sides until it is golden")],
    "bread": [("bread", "500 grams of flour, a spoon of salt, some yeast and 300 grams of warm water", "Mix everything and knead the dough for ten minutes|Let it rise for an hour in a warm place|Bake it for 40 minutes until it is brown")],
    "tomato soup": [("tomato soup", "six ripe tomatoes, one onion, a clove of garlic and a cup of broth", "Chop the onion and the garlic and fry them in oil|Add the tomatoes and the broth and cook them for 20 minutes|Blend the soup and season it with salt and pepper")],
    "potato salad": [("potato salad", "a kilo of potatoes, one onion, two pickles and half a cup of mayonnaise", "Boil the potatoes, let them cool and slice them|Chop the onion and the pickles|Mix everything with the mayonnaise and let it rest for an hour")],
    "apple cake": [("apple cake", "three apples, 200 grams of flour, 100 grams of butter, 100 grams of sugar and two eggs", "Beat the butter with the sugar and the eggs|Stir in the flour and fill the dough into a tin|Put slices of apple on top and bake the cake for 45 minutes")],
    "omelette": [("an omelette", "three eggs, a spoon of milk, some butter and a pinch of salt", "Beat the eggs with the milk and the salt|Melt the butter in a pan and pour in the eggs|Fold the omelette when it is almost firm")],
    "lemonade": [("lemonade", "three lemons, four spoons of sugar and a litre of cold water", "Press the lemons|Stir the sugar into the juice until it is gone|Add the water and some ice")],
    "salad": [("a green salad", "a head of lettuce, a cucumber, two tomatoes, oil and vinegar", "Wash the lettuce and tear it into pieces|Slice the cucumber and the tomatoes|Mix oil, vinegar and salt and pour it over the salad")],
    "salad dressing": [("a simple dressing", "three spoons of oil, one spoon of vinegar, a little mustard and a pinch of salt", "Put everything into a jar|Close the jar and shake it well|Pour the dressing over the salad just before you eat")],
    "pasta": [("pasta with tomato sauce", "250 grams of pasta, a can of tomatoes, a clove of garlic and some basil", "Fry the garlic in oil, add the tomatoes and cook them for 15 minutes|Boil the pasta in salted water|Mix the pasta with the sauce and add the basil")],
    "rice pudding": [("rice pudding", "a cup of rice, a litre of milk, three spoons of sugar and some cinnamon", "Bring the milk to the boil|Add the rice and the sugar and cook it slowly for 30 minutes|Serve it warm with cinnamon on top")],
    "cookie": [("cookies", "200 grams of flour, 100 grams of butter, 80 grams of sugar and one egg", "Mix everything to a smooth dough|Form small balls and press them flat on a tray|Bake the cookies for 12 minutes until they are golden")],
    "vegetable soup": [("vegetable soup", "two carrots, three potatoes, a leek and a litre of broth", "Cut all the vegetables into small pieces|Cook them in the broth for 25 minutes|Add parsley, salt and pepper")],
    "mustard": [("mustard", "100 grams of mustard seeds, half a cup of vinegar, some water and a pinch of salt", "Grind the seeds to a fine powder|Stir in the vinegar, the water and the salt|Keep the mustard in a jar for two days before you use it")],
    "ketchup": [("ketchup", "a kilo of tomatoes, one onion, half a cup of vinegar and 100 grams of sugar", "Cook the tomatoes and the onion until they are soft|Press them through a sieve|Add the vinegar and the sugar and cook it until it is thick")],
    "pesto": [("pesto", "a bunch of basil, a handful of nuts, a clove of garlic, some hard cheese and olive oil", "Grind the basil, the nuts and the garlic|Stir in the grated cheese|Add the oil until the pesto is smooth")],
    "tea": [("tea", "a spoon of tea leaves and a cup of water", "Boil the water|Pour it over the tea leaves|Wait for four minutes and take out the leaves")],
    "porridge": [("porridge", "a cup of oats, two cups of milk and a spoon of honey", "Put the oats and the milk into a pot|Cook them slowly for ten minutes and keep stirring|Serve the porridge with the honey")],
    "sandwich": [("a cheese sandwich", "two slices of bread, some butter, two slices of cheese and a tomato", "Spread the butter on the bread|Put the cheese and slices of tomato between the slices|Cut the sandwich in two")],
    "fried rice": [("fried rice", "a bowl of cooked rice, two eggs, some peas and two spoons of soy sauce", "Fry the eggs in a hot pan and stir them|Add the rice and the peas and fry them for five minutes|Stir in the soy sauce")],
    "mashed potato": [("mashed potatoes", "a kilo of potatoes, a cup of warm milk, some butter and a pinch of salt", "Peel the potatoes and boil them until they are soft|Mash them|Stir in the milk, the butter and the salt")],
}
