"""The plots of the stories. Each keeps cause and effect: what goes wrong early is what is put right at the end."""

from collections import namedtuple

Plot = namedtuple("Plot", "title topic animal_share slots text")
PLOTS = []


def plot(title, topic, text, table, names, animal_share=0.4):
    """Adds a plot whose own slots `names` take the values of one row of `table`."""
    names = names.split()
    assert all(len(row) == len(names) for row in table), title

    def slots(rng):
        return dict(zip(names, rng.choice(table)))

    PLOTS.append(Plot(title, topic, animal_share, slots, text))


plot("The Lost {thing}", "a lost {thing}", """
[One day|One morning|On Monday], {A} [could not find|lost] {A.his} {colour} {thing}. "[Oh no|Oh dear]! Where is my {thing}?" {A.he} [cried|said].
?{A.he} had [played with it|held it] [only yesterday|the day before].
{A} looked [under the bed|behind the door|in the basket|under the table], but it was not there. {A.he} looked {wrong}, but it was not there either.

[Then|Soon] {B} came by. "[Why are you so sad|What is the matter|Why do you look so worried]?" asked {B}.
"I have lost my {colour} {thing}," said {A}. "[I have looked everywhere|I do not know where it is]."
"[Do not worry|Do not cry]," said {B}. "[I will help you look.|We will find it together.|Where did you see it last?]"
?{A} [wiped {A.his} eyes|felt a little better|smiled] and [nodded.|said, "Thank you."]

[They|The two friends] walked [slowly|] back along the path, [looking left and right|looking at the ground|step by step].
[Suddenly|At last|After a while], {B} [saw something {colour}|pointed] {found}. "[Look|Look there|I see it]!" {B.he} [shouted|called].
It was the {thing}! {reason}
{A} [hugged {B}|jumped for joy|laughed with joy]. "[Thank you|You are a true friend]!" {A.he} said. [From that day on|After that], {A} always [put the {thing} away|kept the {thing} in a safe place].
""", [
    ("ball", "behind the house", "in the tall grass", "It had rolled down the hill by itself."),
    ("scarf", "near the well", "on the branch of a tree", "The wind had carried it there."),
    ("kite", "on the roof", "at the top of a tall tree", "The wind had blown it away in the night."),
    ("hat", "under the stairs", "beside the river", "The wind had blown it off the fence."),
    ("ring", "between the stones", "in the nest of a magpie", "The bird liked shiny things."),
    ("boat", "by the bridge", "among the reeds", "The water had carried it down the stream."),
    ("key", "in the kitchen", "under a pile of leaves", "It had fallen through a hole in a pocket."),
    ("bell", "in the barn", "inside a hollow tree", "A squirrel had hidden it there with its nuts."),
    ("spoon", "in the cupboard", "in the garden", "It had been left there after the picnic."),
    ("book", "on the shelf", "on the bench under the apple tree", "It had been there since Sunday."),
], "thing wrong found reason")

plot("The Last {treat}", "sharing a {treat}", """
[One afternoon|One day], there was only one {treat} left [on the plate|in the kitchen|on the table]. {A} wanted it, and {B} wanted it too.
"It is mine," said {A}. "I saw it first!"
"No, it is mine," said {B}. "[I am hungrier than you|I was here first|You had one yesterday]!"
?They both [pulled at the plate|grew angry|shouted], and neither of them would let go.
[Suddenly|Then], the {treat} fell [on the floor|to the ground] and [broke in two|split in half]. [For a moment|] nobody said a word.

{A} looked at {B}, and {B} looked at {A}. [Then they began to laugh|Then both of them smiled].
"Now there are two pieces," said {A}. "One for you and one for me."
They [sat down|sat on the step|sat in the sun] and ate [together|side by side]. [It tasted {taste}|The {treat} tasted {taste}], and [it was even better because they shared it|there was enough for both].
?"[I am sorry that I shouted|I am sorry]," said {B}. "So am I," said {A}.
[From then on|After that day], [they shared everything|they always cut every {treat} in two]. [Sharing makes friends|A shared meal tastes best].
""", [("cookie", "sweet"), ("pancake", "soft and warm"), ("peach", "sweet and juicy"), ("muffin", "of honey"), ("pear", "fresh and sweet"),
      ("cake", "of chocolate"), ("apple", "crisp and sweet"), ("biscuit", "of butter"), ("bun", "of cinnamon")], "treat taste")

plot("{A} Bakes a {cake}", "baking a {cake}", """
[One Saturday|One rainy day|One morning], {A} wanted to bake a {cake} for {G}. It was {G.his} birthday [the next day|that day].
{A} took out the flour, the butter and the sugar. But when {A.he} opened the [cupboard|box], [there were no {missing}|the {missing} were gone]!
"[How can I bake a {cake} without {missing}|What shall I do now]?" {A.he} [wondered|asked].

{A} [ran|went|walked] to the house of {B} and knocked on the door. "[Do you have any {missing}|May I borrow some {missing}]?" {A.he} asked.
"[Of course|Yes, I do]," said {B}. "[Take as many as you need|Here you are]. But [may I help you|may I have a piece] [when it is done|later]?"
"[Of course|Yes, please]!" said {A}.
?So the two friends went back together and washed their hands.

They mixed everything in a big bowl and put the {cake} into the oven. [Soon|After an hour] the whole house smelled [sweet|wonderful|good].
?{A} had flour on {A.his} nose, and {B} laughed.
When {G} came home, {G.he} [could not believe {G.his} eyes|was very surprised]. "[What a beautiful {cake}|A {cake}, just for me]!" {G.he} said.
They all sat down and ate [it together|a big piece]. It was the best {cake} [in the world|that they had ever tasted].
""", [("apple cake", "apples"), ("plum cake", "plums"), ("nut cake", "nuts"), ("carrot cake", "carrots"), ("cherry pie", "cherries"),
      ("lemon cake", "lemons"), ("pancake", "eggs"), ("chocolate cake", "eggs"), ("berry pie", "berries")], "cake missing", 0.15)

plot("The Storm", "a storm", """
[One day|One afternoon], {A} and {B} were {doing}. {weather}, and [they were very happy|they did not look up].
[Then|Suddenly] the wind grew strong and the sky turned [dark|grey|black]. [A drop of rain fell on {A}|Thunder rolled over the hills].
"[A storm is coming|It is going to rain hard]!" [said|shouted] {B}. "[We must go home|We must find a dry place] [quickly|at once]!"

They ran as fast as they could, but the rain was faster. [Soon they were wet and cold|Their feet were wet and cold].
[At last|Luckily], {A} saw {shelter}. "[In here|Come in here|This way]!" {A.he} called. They crept inside and [sat close together|waited].
?Lightning flashed, and {B} was afraid. "[Do not be afraid|Hold my hand]," said {A}. "[The storm cannot reach us here|It will be over soon]."
To pass the time, they {pastime}.

[After an hour|After a long time|At last], the rain stopped. [They looked outside|They stepped outside] and saw [a bright rainbow|a rainbow over the hills].
"[How beautiful|Look at all the colours]!" said {B}. "[Without the storm, there would be no rainbow|I am glad that we saw it together]."
Then they went home, where {G} gave them [dry clothes and hot soup|warm milk and {food}|hot tea and a blanket].
""", [
    ("picking berries", "a small cave", "told each other stories"), ("playing by the river", "an old barn", "counted the seconds between the lightning and the thunder"),
    ("fishing in the lake", "a hut with an open door", "sang every song that they knew"), ("flying a kite", "a hollow tree", "made up riddles"),
    ("gathering wood", "an empty mill", "played a guessing game"), ("building a little dam", "a big rock with a roof like a house", "told funny stories"),
], "doing shelter pastime")

plot("{A} and the {little}", "a {little} in trouble", """
[One day|One morning], {A} was walking [along a path|through the woods|home] when {A.he} heard a small sound. [Somebody was crying for help|It came from {where}].
{A} [looked closer|went to see|followed the sound] and found a little {little}. It was {trapped} and could not get out.
"[Please help me|Help me, please]," said the {little}. "[I have been here all night|I am so tired and hungry]."
?"[Poor thing|Do not be afraid]," said {A}. "I will not hurt you."

{A} [thought for a moment|looked around]. Then {A.he} found a [long|strong] {tool} and [carefully|slowly] used it to set the {little} free.
"[Thank you|Thank you very much|You saved my life]!" said the {little}. "[One day I will help you too|I will never forget this]."
{A} smiled. [How could such a small {little} ever help {A.him}?|{A.he} did not think that such a small animal could help {A.him}.]

[Some days later|A week later|Winter came, and one evening], {A} lost {A.his} way in the dark. {A.he} [called|shouted], but [nobody answered|nobody heard {A.him}].
Then the little {little} came [out of the dark|along the path]. "[I know the way|Follow me]," it said. "You helped me, and now I will help you."
It led {A} [safely|all the way] home. {A} [learned|understood] that [even a small friend can be a great help|no friend is too small|kindness always comes back].
""", [
    ("mouse", "an empty jar", "stuck in the jar", "stick"), ("bird", "a bush", "caught in the thorns", "branch"), ("rabbit", "a hole in the ground", "stuck in the deep hole", "rope"),
    ("hedgehog", "an old bucket", "stuck in the bucket", "board"), ("squirrel", "a fallen tree", "caught under a branch", "pole"),
    ("beetle", "a pond", "lying on its back in the water", "leaf"), ("fox", "a fence", "caught in the wire", "stick"), ("duckling", "the reeds", "caught in an old net", "knife"),
], "little where trapped tool")

plot("The Little Garden", "growing {plants}", """
[In spring|One day in spring], {G} gave {A} a handful of seeds. "[Plant them and take good care of them|Put them in the earth and wait]," {G.he} said.
{A} dug [a small hole|a row of small holes] in the garden, put the seeds into the earth and gave them water.
[The next day|The next morning], {A} ran out to look, but there was nothing [to see|but brown earth].
"[Nothing is growing|When will they grow]?" {A.he} asked. "[You must be patient|Good things take time|Wait a little]," said {G}.

So {A} gave the seeds water every [day|morning] and [pulled out the weeds|sang to them|kept the birds away].
[After two weeks|One morning], a tiny green leaf came out of the earth. "[It is growing|Look at it]!" {A} [shouted|called].
?The plants grew taller and taller, until they were as tall as {A}.
But one day {pest} came and ate some of the leaves. {A} was [sad|angry], but [{A.he} did not give up|then {A.he} had an idea]. {A.he} {defence}, and after that the plants were safe.

In [summer|autumn], there were {plants} everywhere, [big and ripe|more than {A} could count]. {A} [filled a whole basket|picked them all] and gave some to {B} and [some|the best ones] to {G}.
"[You worked hard|I am proud of you]," said {G}. "[Now you know that patience pays|See what a few seeds can become]!"
""", [
    ("tomatoes", "the snails", "put a ring of sand around the bed"), ("beans", "the rabbits", "built a little fence"), ("pumpkins", "the goat", "closed the gate"),
    ("strawberries", "the birds", "hung up a net"), ("carrots", "the rabbits", "built a fence of sticks"), ("sunflowers", "the crows", "made a scarecrow with an old hat"),
    ("peas", "the pigeons", "hung up shiny ribbons"),
], "plants pest defence", 0.15)

plot("{A} Is Not Afraid", "somebody who was afraid of {fear}", """
There was only one thing [wrong|that {A} did not like]: {A} was afraid of {fear}. {detail}
"[Come with us|Come and play]," said {B} [one day|one evening]. But {A} shook {A.his} head. "[I am too afraid|I cannot do it|Not today]," {A.he} said.
?The others laughed, but {B} did not laugh.

[That evening|Later], {A} told {G} about it. "[Everybody is afraid of something|I was afraid too when I was small]," said {G}. "[Brave people are afraid too, but they try|You can begin with a very small step]."
[The next day|So the next day], {A} tried. First {step1}. {A.his} heart beat [fast|like a drum], but nothing bad happened.
[Then|The day after], {step2}. {B} [stood beside {A.him}|held {A.his} hand] [all the time|] and said, "[You are doing well|Just one more step]."
?{A} took a deep breath and counted to ten.

[At last|On the third day|In the end], {step3}. "[I did it|Look at me]!" {A.he} [shouted|cried]. {B} [clapped {B.his} hands|cheered].
[It was not so bad after all|It was even fun]. [From that day on|After that], {A} was [not afraid any more|only a little afraid, and that was all right].
""", [
    ("the dark", "Every night a lamp had to burn beside the bed.", "the lamp was turned low", "the door was closed for a minute", "all the lights went out, and there were only the stars"),
    ("deep water", "Even the pond looked as deep as the sea.", "only the toes went into the water", "the water came up to the knees", "both feet left the ground, and the water carried everything"),
    ("high places", "Even a chair seemed as high as a mountain.", "it was only the first step of the ladder", "it was the middle of the ladder", "it was the very top of the ladder, with a view over all the roofs"),
    ("dogs", "Even a small bark was like thunder.", "they looked at a sleeping dog from far away", "they walked past the dog without running", "the dog put its head down to be stroked, and its fur was soft"),
    ("the big slide", "It looked as tall as a house.", "they only climbed up and came down again", "they sat at the top and looked around", "there was a push, a rush of wind and a soft landing in the sand"),
    ("thunder", "Even a dark cloud was a reason to hide.", "they listened to a drum with closed eyes", "they listened to far thunder from the bed", "they watched a whole storm from the window and counted the flashes"),
], "fear detail step1 step2 step3", 0.0)

plot("The Long Way to the {goal}", "a journey to the {goal}", """
[One day|One morning], {G} was ill and [needed|asked for] {cargo}. "[I will go to the {goal} and get it|I will bring it from the {goal}]," said {A}. "[I am not afraid of the long way|I will be back before dark]."
{A} [packed|took] some bread and [a bottle of water|an apple] and [set off|went on {A.his} way]. {weather}.

[Soon|After an hour], {A} came to {obstacle}. [How could {A.he} go on?|There was no other way.] {A} [sat down and thought|looked around]. Then {A.he} {solution}.
?"That was not easy," said {A}, "but now I know how to do it."
[Then|A little later], {A} met {helper} who [looked hungry|looked tired]. "[Do you have something to eat?|I have not eaten since yesterday,]" said the stranger. {A} [gave {A.his} bread|shared the bread] at once.
"You have a good heart," said the stranger. "[Take the path on the left|Follow the stream]. [It is the shorter way|It will save you an hour]."

The stranger was right. [Soon|Before noon] {A} [stood in front of|reached] the {goal} and got {cargo}. {A.he} [hurried|ran] home the same way.
[That evening|In the evening], {G} [took|had] {cargo} and slept well. [The next morning|After two days], {G.he} was [well again|feeling much better].
"[Thank you, my dear|You are very brave]," said {G}. [{A} was tired, but very happy|{A} smiled and fell asleep at once].
""", [
    ("market", "a lemon and some tea", "a river without a bridge", "laid a fallen tree over the water", "an old man"), ("mill", "a bag of fresh flour", "a high wall", "piled up some stones and climbed over", "an old woman"),
    ("mountain hut", "some fresh milk", "a steep hill", "held on to the roots and climbed up", "a shepherd"), ("chemist", "a bottle of medicine", "a wide muddy field", "laid flat stones on the mud and stepped from one to the next", "a traveller"),
    ("castle", "a jar of golden honey", "a locked gate", "found a small hole in the hedge", "a beggar"), ("island", "a basket of healing herbs", "a wide lake", "built a raft from old boards", "a fisherman"),
], "goal cargo obstacle solution helper", 0.2)

plot("The Broken {object}", "a broken {object} and the truth", """
[One day|One afternoon], {A} was playing [with a ball|] in the house, although {G} had said, "[Please play outside|Do not run in the house]."
[Suddenly there was a crash|Crash]! The {colour} {object} [lay on the floor in pieces|fell from the table and broke].
{A} [turned pale|was frightened]. "[What will {G} say|What have I done]?" {A.he} thought. Quickly {A.he} hid the pieces {hiding}.

[In the evening|Later], {G} asked, "[Where is the {object}|Has anybody seen the {object}]?" {A} looked at the floor. "[I do not know|Maybe the cat took it]," {A.he} said.
But [that night {A} could not sleep|the lie felt like a stone in {A.his} stomach]. {A.he} [turned from side to side|lay awake for a long time].
?"A lie grows heavier every hour," {B} had once said, and now {A} understood it.

[In the morning|At last], {A} went to {G}. "[I broke the {object}|It was me]," {A.he} said [in a small voice|with tears in {A.his} eyes]. "[I am very sorry|I was afraid to tell you]."
{G} was [quiet for a moment|silent]. Then {G.he} [put an arm around {A}|smiled]. "[A {object} can be mended|I can buy a new {object}]," {G.he} said, "but [I am glad that you told me the truth|trust is harder to mend]."
Together they [glued the pieces together|swept up the pieces], and {A} felt [light and happy|much better] again.
""", [("vase", "under the carpet"), ("lamp", "behind the sofa"), ("clock", "in a box"), ("mirror", "under the bed"), ("teapot", "at the bottom of the basket"),
      ("plate", "behind the curtain"), ("bowl", "in the garden"), ("jug", "in the cupboard")], "object hiding", 0.0)

plot("The Great {contest}", "a {contest}", """
[Every year|In summer], there was a {contest} [in the village|by the lake]. {A} wanted to win the [golden cup|first prize|silver bell].
For weeks {A.he} {training} [every day|every morning and every evening]. "[I will surely win|Nobody is as good as I am]," {A.he} said.
On the day of the {contest}, [everybody came to watch|many people came]. {A} [stood beside|stood next to] {B}. "[Good luck|May the best one win]," said {B}.

The [bell rang|whistle blew], and the {contest} began. {A} was [quickly in front|ahead of all the others].
But then {A} saw that {B} {trouble}. [What should {A.he} do?|If {A.he} stopped, {A.he} would not win.] The [golden cup|prize] was so near!
{A} [turned around|stopped] and went back. "[Let me help you|Take my hand]," {A.he} said. [Together they went on|Side by side they went on], [slowly|step by step], to the end.

They came [last|in last]. But [everybody clapped|all the people stood up and clapped].
"[The cup goes to the fastest|The first prize goes to somebody else]," said the judge, "but {A} gets [a special prize|a prize too] for [the biggest heart|being a true friend]."
?{B} cried for joy, and {A} was prouder than any winner.
[{A} learned that friends matter more than prizes|A friend is worth more than a golden cup].
""", [
    ("race", "ran around the field", "had fallen and hurt a knee"), ("boat race", "rowed on the lake", "had lost an oar"), ("swimming race", "swam in the lake", "had a cramp and could hardly swim"),
    ("bicycle race", "rode up and down the hill", "had a flat tyre"), ("sledge race", "practised on the hill", "had slid into the deep snow"), ("kite contest", "flew a kite", "had tangled the string in a tree"),
], "contest training trouble", 0.25)

plot("The New Friend", "making a new friend", """
[One autumn|Last year], {A} moved to a new [town|village] and went to a new school. [On the first day|On Monday], {A.he} did not know anybody.
[The other children played together|Everybody already had a friend], and {A} sat alone [on a bench|under a tree|by the wall]. {A.he} [took out|held] {A.his} {toy} and [looked at it sadly|sighed].
"[I want to go back to my old school|I wish that I had a friend here]," {A.he} thought.

[Just then|The next day], {B} came [closer|over]. "[What is that|What do you have there]?" {B.he} asked.
"It is my {toy}," said {A} [shyly|quietly]. "[Would you like to try it|Do you want to see how it works]?"
"[I would love to|Yes, please]!" said {B}. {use}
?They laughed so much that they did not hear the bell.

[After school|At the end of the day], they walked home together. It turned out that {B} lived [in the same street|just around the corner].
"[Will you come and play tomorrow|Shall we play tomorrow]?" asked {B}. "[Yes|Of course]!" said {A}.
[That night|In the evening], {A} told {G}, "[I think I am going to like it here|Today I found a friend]." {G} [smiled|was very glad].
[It takes only one kind word to make a friend|Since then, the two of them have been best friends].
""", [
    ("yo-yo", "They took turns, and the yo-yo went up and down, up and down."), ("harmonica", "They played a funny tune, and soon other children began to dance."),
    ("magnifying glass", "Together they looked at ants, leaves and even at their own noses."), ("spinning top", "They spun it again and again and counted how long it turned."),
    ("box of crayons", "They drew a huge dragon with a blue tail."), ("set of cards", "They played five games, and each of them won some."), ("toy train", "They built a long track out of chalk lines on the ground."),
], "toy use", 0.0)

plot("The Magic {item}", "a magic {item}", """
[One day|One evening], {A} found an old {item} [in the attic|on the beach|in the forest]. When {A.he} [rubbed|touched] it, a [small|deep] voice said, "I will give you three wishes, [but be careful what you wish for|so choose well]."
{A} [could not believe it|was very surprised]. "[I wish for|First I wish for] {wish1}," {A.he} said.
[At once|In a moment], {result1}. [At first {A} was delighted|{A} clapped {A.his} hands]. But [soon|after a day] {problem1}.

"[That was a foolish wish|This is too much]," said {A}. "I wish that [everything were as it was before|it would all go away]!" [At once|In a flash], it was gone.
?Now there was only one wish left, and {A} did not want to waste it.
{A} [thought for a long time|thought all night]. {A.he} [looked out of the window|went for a walk] and saw {B}, who was {need}.
"[I know what to wish for|Now I know]," said {A}. "I wish for {wish3}, [but not for me|for my friend]."

[The next morning|In that moment], {B} came [running|with a big smile]. "[You will not believe it|A wonder has happened]!" {B.he} said. [{A} only smiled|{A} said nothing and smiled].
The {item} was [silent for ever|only an old {item} again], but {A} [was happier than before|did not mind]. [The best wish is one for somebody else|Giving had made {A.him} happier than having].
""", [
    ("lamp", "all the sweets in the world", "the room was full of sweets up to the roof", "the sweets made everybody ill, and nobody could open the door", "cold, because there was a hole in the roof", "a warm new roof"),
    ("ring", "a house of gold", "the walls, the chairs and even the bread turned into gold", "there was nothing left to eat, and the golden bed was hard", "hungry after a poor harvest", "a full barn"),
    ("shell", "a summer without end", "the sun shone day and night", "the plants dried up, and nobody could sleep", "sad, because the well was empty", "a well full of clear water"),
    ("bottle", "a hundred toys", "toys fell from the sky like rain", "there was no place left to sit or to play", "alone, because everybody had gone away", "a good friend who would never leave"),
    ("feather", "wings", "two great wings grew from the shoulders", "no bed and no chair was wide enough for them", "ill and could not walk", "healthy legs"),
], "item wish1 result1 problem1 need wish3", 0.0)

plot("{A} Mends the {device}", "mending an old {device}", """
[One day|One winter], the old {device} [of {G}|in the house] stopped working. "[It is broken|It is too old]," said {G} [sadly|with a sigh]. "[I will have to throw it away|We cannot buy a new one]."
"[Wait|Please wait]," said {A}. "[May I try to mend it?|Let me look at it first.]" {A} [opened it|took it apart] [very carefully|] and looked [inside|at every part].
[There {A.he} saw what was wrong|After an hour {A.he} found the fault]: {fault}.

"[I need|What I need is] {part}," said {A}. {A.he} went to {B}, who [kept all kinds of old things|never threw anything away] [in a shed|in a big box].
[They searched for a long time|They looked in every drawer]. There were [nails, buttons and old wheels|springs, bolts and broken toys], and at the very bottom there was {part}!
?"Take it," said {B}. "I knew that it would be good for something one day."
{A} [ran home|hurried home] and [put it in its place|set to work]. [It was not easy|It took the whole evening], but {A.he} did not give up.

[At last|In the end], {A} closed the {device}, and {sign}. It worked!
{G} [laughed with joy|could hardly believe it]. "[You have clever hands|What a clever {A.kind} you are]," {G.he} said. "[Old things are often worth keeping|Not everything that is broken must be thrown away]."
""", [
    ("clock", "a little wheel had lost a tooth", "a small brass wheel", "it went tick, tock, tick, tock"), ("radio", "a wire was broken", "a piece of copper wire", "soft music filled the room"),
    ("bicycle", "the chain was torn", "a strong new chain", "the wheels turned without a sound"), ("music box", "the spring was bent", "a tiny spring", "it played its old song again"),
    ("lamp", "the plug was loose", "a small screw", "a warm light shone on the wall"), ("sewing machine", "the belt was torn", "a new leather belt", "the needle danced up and down"),
], "device fault part sign", 0.1)

plot("The Proud {proud}", "a proud {proud} and a humble {humble}", """
[In the same place|Not far away] there lived a {proud} who was very proud. "[Nobody {skill} as well as I do|I am the best of all animals]," said the {proud} [every day|again and again].
{A} and {B} [were tired of it|only smiled], and the little {humble} said nothing at all.
[One day|One morning], the {proud} laughed at the {humble}. "[What can you do?|You are good for nothing,]" it said. "[You cannot even do half of what I can|Look how slow and small you are]."
"[Everybody can do something|Each of us has a gift]," answered the {humble} [quietly|calmly].

[Soon after|The very next day], {danger}. The {proud} [cried for help|was terrified], but [all its pride was of no use|nobody could reach it]. "[Help me|Please, somebody help me]!" it called.
{A} [tried to help|pulled as hard as {A.he} could], but {A.he} was too {weak}. Then the little {humble} came. It {rescue}, and the {proud} was saved.
?Everybody was silent, and then everybody cheered.

The {proud} hung its head. "[I was a fool|I am ashamed]," it said. "[You saved me although I laughed at you|Please forgive me]."
"[That is all right|I forgive you]," said the {humble}. "[Let us be friends|It is good to have different friends]."
[From that day on|After that], the {proud} never boasted again. [Pride comes before a fall|Even the smallest can do great things].
""", [
    ("peacock", "mole", "shines", "the peacock was caught in a deep pit", "big", "dug a tunnel to the pit"), ("lion", "mouse", "fights", "the lion was caught in a net of thick ropes", "slow", "bit through the ropes one by one"),
    ("horse", "bee", "runs", "the horse was chased by a hungry wolf", "weak", "stung the wolf on the nose until it ran away"), ("eagle", "spider", "flies", "the eagle lay on a cliff with a hurt wing", "heavy", "spun a strong thread to tie the wing"),
    ("hare", "snail", "runs", "the hare was stuck in the wet clay by the pond", "light", "showed everyone the one firm path through the clay"), ("swan", "frog", "swims", "the foot of the swan was caught in the weeds under the water", "short", "dived down and untied the weeds"),
], "proud humble skill danger weak rescue", 1.0)

plot("A Present for {G}", "a home-made present", """
[It was almost the birthday of {G}|In three days it would be the birthday of {G}], and {A} wanted to give {G.him} a present. But {A} had [no money|only two coins].
In the shop window there was [a beautiful|a wonderful] {dear}. "[That costs twenty coins|I cannot buy that]," {A} [sighed|thought]. {A.he} [walked home sadly|went home with empty hands].
?"What are you thinking about?" asked {B}. {A} told {B.him} everything.
"[Then make something yourself|A present does not have to cost money]," said {B}. "[What can you make|What do you have at home]?"

{A} [looked around at home|thought and thought]. There was {material}. [Then {A.he} had an idea|That was enough]! {A.he} worked [for two days|until late in the evening] and made {present}.
It was [not perfect|a little crooked], but it was made with love.

On the birthday, {G} [opened the paper|opened the box] and [was silent|had tears in {G.his} eyes]. "[Did you make this yourself?|This is the finest present of all,]" {G.he} said. "[I will keep it for ever|No shop could sell me anything better]."
{A} [was so proud|smiled from ear to ear]. [The best presents come from the heart|{A} never thought of the {dear} in the window again].
""", [
    ("silk scarf", "some old wool", "a warm scarf with long stripes"), ("silver picture frame", "some wood and glue", "a picture frame with a drawing of the family"), ("glass vase", "a pot of clay", "a vase with painted flowers"),
    ("leather bag", "a piece of cloth and a needle", "a bag with a big button"), ("golden necklace", "a handful of beads and a string", "a necklace in all colours"), ("thick book", "some paper and thread", "a little book full of poems and drawings"),
    ("garden chair", "three boards and some nails", "a small stool"),
], "dear material present", 0.1)

plot("{A} Cannot Sleep", "somebody who could not sleep", """
[One night,|It was late, but] {A} could not sleep. {A.he} [turned to the left and to the right|closed {A.his} eyes and opened them again]. {noise}
"[I cannot sleep|I am wide awake]," {A.he} [whispered|called]. {G} came [into the room|to the bed] [with a candle|in slippers].
"[Drink some warm milk|Try to count sheep]," said {G}. {A} [did so|tried it], but it did not help. [At the end {A.he} was more awake than before|{A.he} counted to a hundred and was still awake].

"[Then I will tell you about|Close your eyes and think of] {dream}," said {G} [softly|in a low voice]. "[Can you see it|Imagine it]? Everything there is quiet. [The wind is soft|The waves are slow]. [The animals are asleep|Even the moon is yawning]."
?{A} could almost smell the grass and the night air.
"[And then|And]?" asked {A}, but [{A.his} eyes were already heavy|{A.his} voice was already tired].
"And then," said {G}, "[the little boat comes and takes you to the land of dreams|a small star comes down and says good night]."

{A} did not hear the end. {A.he} [was already asleep|slept] [with a smile|] until [the sun rose|the morning]. {G} [pulled up the blanket|put out the candle] and went out [on tiptoe|without a sound].
""", [
    ("The clock on the wall went tick, tock.", "a meadow full of sleeping sheep"), ("The wind knocked at the window.", "a white beach under the moon"), ("Somewhere a dog was barking.", "a forest covered with snow"),
    ("The moon was very bright.", "a boat on a silver lake"), ("It was the night before the holidays.", "an island where it is always evening"), ("An owl called from the garden.", "a hill where the stars are near"),
], "noise dream", 0.2)

plot("The Good Trade", "a good trade", """
[One day|One spring], {G} gave {A} {first} and said, "Take it to the market and [bring back something useful|make a good trade]."
On the way, {A} met a {person1} who had {second}. "[Let us trade,|Will you trade?]" said the {person1}. "[I need|I could use] {first}, and you may have {second}." {A} agreed.
[A little later|Then], {A} met {B}, who had {third}. "[I would give anything for|I have always wanted] {second}," said {B}. "I will give you {third} for it."
?{A} thought about it for a while and shook hands with {B}.

So {A} came home with {third}. [The neighbours laughed|Some people laughed]. "[What a silly trade!|What will you do with it?]" they said. But {G} [did not laugh.|said, "Let us wait and see."]
[That winter|Soon], {need}. [Now everybody came to {A}|Nobody laughed now], because only {A} had {third}. {A} {help}.
?"Please forgive us," said the neighbours. "You were wiser than we were."

[Everybody was grateful|The whole village thanked {A}]. "[You made a good trade after all|The worth of a thing shows when you need it]," said {G}, and {A} [laughed|smiled].
""", [
    ("a goat", "miller", "a bag of flour", "an old stove", "it grew so cold that the windows froze", "let all the neighbours warm themselves by the fire"),
    ("a pot of honey", "baker", "a basket of rolls", "a long rope", "a child fell into the well", "let down the rope and pulled the child up"),
    ("a hen", "farmer", "a bag of seeds", "a big drum", "a thick fog came, and the fishermen lost their way", "beat the drum until all the boats came home"),
    ("a blanket", "weaver", "a roll of cloth", "a lantern", "the lights went out on the longest night", "carried the lantern from house to house"),
    ("a cheese", "shepherd", "a bag of wool", "a ladder", "a kitten sat on the highest roof and could not get down", "climbed up the ladder and carried it down"),
], "first person1 second third need help", 0.1)

plot("Who Took the {stolen}?", "the mystery of the missing {stolen}", """
[Every morning|For three days], some {stolen} [was|were] missing from the [kitchen|cellar]. [Nobody knew who had taken it|It was a mystery].
"[It was not me|I did not do it]," said {A}. "[I did not do it either|It was not me either]," said {B}. "[Then there must be a thief|Somebody comes in the night]!"
"[Let us find out|Let us be detectives]," said {A}. [In the evening|That night], they [spread flour on the floor|put flour in front of the door] and hid [behind the curtain|under the table].

[At midnight|After a long time], they heard a [soft|tiny] noise. Somebody [came in through the window|crept over the floor]. {A} [held {A.his} breath|lit a candle].
In the flour there were {prints}. [And there sat the thief|They followed them to a corner]: it was {thief}!
?It looked at them with big round eyes and did not move.
"[So it was you|Now we have you]," said {B}. But then {A} saw that it was [not alone|hiding something]. {reason}

"[It only wanted to feed its little ones|It was only hungry]," said {A}. "[Poor thing|We should help]."
[From that day on|After that], they put out a [small bowl|little plate] [every evening|every night], and nothing was missing [any more|from the kitchen again]. [The mystery was solved|The detectives were very proud].
""", [
    ("cheese", "tiny prints, no bigger than a grain of rice", "a grey mouse", "Behind it sat five tiny mice."), ("bread", "small prints with long claws", "a hedgehog", "Three little hedgehogs waited behind the stove."),
    ("fish", "round soft prints", "a thin black cat", "Under the stove lay four kittens."), ("fruit", "prints like little hands", "a raccoon", "A baby raccoon was holding on to its back."),
    ("corn", "prints with three toes", "an old crow with a lame wing", "It could not fly far enough to find food."), ("butter", "big prints with four toes", "a stray puppy", "Its ribs could be counted, and it had no home."),
], "stolen prints thief reason", 0.0)

plot("The {built} in the Snow", "a winter day and a {built}", """
[One morning|In January], {A} looked out of the window. [Everything was white|It had snowed all night]! "[Snow, snow|It has snowed]!" {A.he} [cried|shouted] and [ran outside|put on {A.his} boots].
{B} was already there. "[Let us build a {built},|Shall we build a {built}?]" said {B}. "[The biggest in the village|It must be the biggest of all]!"
They [rolled|carried] the snow and [piled it up|pressed it together] [until their hands were cold|all morning]. {detail}
?{G} brought them hot cocoa and said, "That is a fine {built}."

But in the afternoon the sun [came out|grew warm]. Drop by drop, the {built} began to [melt|grow smaller]. "[Oh no|Stop]!" said {B}. "[All our work was for nothing|Soon it will be gone]."
{A} [thought for a moment|had an idea]. "[Let us draw a picture of it|I will take a photo]," {A.he} said. "[Then it can never melt|Then we will always remember it]."
They hung the picture [on the wall|over the bed]. And when the {built} was only a [puddle|heap of wet snow], they were not sad. "[Next winter we will build it again|Snow always comes back]," they said.
""", [
    ("snowman", "It got a carrot for a nose and two black stones for eyes."), ("snow castle", "It had four towers and a gate of ice."), ("snow bear", "It had round ears and a friendly face."),
    ("snow house", "It was so big that both of them could sit inside."), ("snow dragon", "Its tail went all the way around the tree."),
], "built detail", 0.1)

plot("{A} Learns to {skill}", "learning to {skill}", """
{A} wanted to learn to {skill}. {B} could already do it and made it look [easy|so easy]. "[It is not hard|Anybody can learn it]," said {B}. "[You only have to practise|I will show you]."
[On the first day|The first time], {A} tried and {fail1}. [On the second day|The second time], {A.he} tried again and {fail2}.
"[I will never learn it|I am no good at this]," {A} said [angrily|sadly] and [sat down on the ground|wanted to go home].

"Do you know how often I failed?" asked {B}. "[More than a hundred times|I could not count it]. [But I never stopped|Each time I learned a little]."
{A} [got up|stood up again]. "[Show me once more|One more time]," {A.he} said. {B} said, "{advice}"
?{A} practised before breakfast and after supper. Day after day it went a little better.

[After a week|At the end of the month], {success}. "[I can do it|It works]!" {A.he} shouted [so loudly that the birds flew up|with joy].
"[I knew it|You see]," said {B}. "[Practice is the best teacher|Those who do not give up will learn it]." [And the next day {A} began to teach somebody else|{A} laughed and did it again and again].
""", [
    ("ride a bicycle", "fell into the bushes", "rode into a fence", "Look ahead and not at your feet.", "{A} rode all the way to the bridge"), ("swim", "swallowed a lot of water", "sank like a stone", "Breathe slowly and move your legs like a frog.", "{A} swam across the pond"),
    ("whistle", "only blew air", "made a sound like a kettle", "Make your lips round and blow softly.", "{A} whistled a whole song"), ("skate", "sat down on the ice with a bump", "slid into a heap of snow", "Bend your knees and lean forward a little.", "{A} skated around the whole lake"),
    ("juggle", "dropped all the balls", "was hit on the nose by a ball", "Begin with two balls and throw them high.", "{A} kept three balls in the air"), ("play the flute", "made a terrible squeak", "ran out of breath", "Hold it gently and blow across the hole.", "{A} played a song without a mistake"),
], "skill fail1 fail2 advice success", 0.0)

plot("A Day at the {spot}", "a day at the {spot}", """
[One Sunday|In the holidays|Last week], {A}, {B} and {G} [went|took the bus] to the {spot}. {weather}. In their basket they had {food}, [apples|cherries] and [a bottle of lemonade|cold tea].
"[What shall we do first?|I do not know where to look first!]" said {A}. First they {activity1}, and then they {activity2}.
?"I could stay here for ever," said {B}.

At noon they [spread a blanket|sat down in the shade] and [opened the basket|ate their lunch]. [But suddenly|Just then], {thief} [came by|appeared] and took the {food}!
"[Stop|Hey]! That is our lunch!" shouted {A}. [Everybody ran|They all jumped up], but it was too late. [{G} began to laugh|Then {B} began to laugh], and soon they were all laughing.
"[Well|Never mind]," said {G}, "[it must have been very hungry|now at least somebody is full]. We still have [the fruit|something to drink]."

In the evening they were [tired and happy|tired, brown and happy]. On the way home, {A} [fell asleep|told the story of the lost lunch three times].
"[That was the best day of the year|What a lovely day]," said {A}. "[Next time we will take two lunches!|Can we go again next week?]"
""", [
    ("beach", "looked for shells", "built a castle of sand", "a cheeky seagull"), ("zoo", "watched the penguins", "fed the goats", "a quick little monkey"), ("lake", "swam to the wooden raft", "threw flat stones over the water", "a big white swan"),
    ("park", "played with a ball", "rowed a little boat", "a brown squirrel"), ("farm", "stroked the calves", "jumped in the hay", "a hungry goat"), ("forest", "climbed over fallen trees", "looked for mushrooms", "a clever fox"),
], "spot activity1 activity2 thief", 0.0)
