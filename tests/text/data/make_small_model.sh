#!/bin/sh
# Trains small.model, a vocabulary shaped like Mistral's v3 on a few sentences (SentencePiece 0.1.97).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
cd "$scratch"
cat > text <<'TEXT'
The cook stirs the soup and the soup thickens while the bread is baking in the oven.
A good mayonnaise needs egg yolks, a spoon of mustard, some vinegar and a slow hand with the oil.
What is your favourite condiment? I am fond of a squeeze of fresh lemon juice on everything.
She walked along the river, counting the boats: one, two, three, four, and the fifth was sinking.
def add(first, second):
    return first + second
for (int i = 0; i < 10; ++i) {
    total += values[i];
}
If 12 apples cost 36 coins, then 1 apple costs 3 coins and 100 apples cost 300 coins.
	indented with a tab	and another
He said: "don't worry, it's only the wind", but the others weren't so sure about that.
naïve café, größer, señor, Москва, привет мир, Ελλάδα, 日本語 日本, 中文, 한국어, ∑ ∞ €
wide      gaps        in   the    text
TEXT
spm_train --input=text --model_prefix=small --model_type=bpe --vocab_size=700 \
  --byte_fallback=true --normalization_rule_name=identity --remove_extra_whitespaces=false \
  --allow_whitespace_only_pieces=true --split_digits=true --character_coverage=1.0 \
  --control_symbols='[INST],[/INST]' --user_defined_symbols='[REF_1],[REF_12]' \
  --minloglevel=1
cp small.model "$here"
