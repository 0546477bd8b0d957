"""Writes ids of the documents that pocket-mixtral's training held out, for `mixtral perplexity --ids`."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "training"))

import corpus
import tokenizer as tokenizer_module

HELD_OUT_SEED = 200  # as in training/data.py, which needs torch


def main(path, n_tokens):
    tokenizer = tokenizer_module.load(str(ROOT / "examples/models/pocket-mixtral/tokenizer.model"))
    ids = []
    for document in corpus.documents(HELD_OUT_SEED):
        ids += tokenizer_module.encode(tokenizer, document)
        if len(ids) > n_tokens:
            break
    pathlib.Path(path).write_text(",".join(map(str, ids[1:n_tokens + 1])))  # perplexity begins with BOS itself


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
