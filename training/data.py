"""Writes documents as one long row of token ids (uint16), and reads random windows of it."""

import argparse

import numpy as np
import torch

import corpus
import tokenizer as tokenizer_module

TRAIN_SEEDS = {1: 100, 2: 101}  # of the two parts of the training
HELD_OUT_SEED = 200


def make(tokenizer, seed, part, n_tokens):
    ids = []
    for document in corpus.documents(seed, part):
        ids += tokenizer_module.encode(tokenizer, document)
        if len(ids) >= n_tokens:
            return np.array(ids[:n_tokens], dtype=np.uint16)


class Windows:
    """Batches of consecutive windows in file order; each id is read once, then it starts again."""

    def __init__(self, path):
        self.ids = np.fromfile(path, dtype=np.uint16)

    def batch(self, start, batch_size, n_ctx):
        """Returns (inputs, targets), each [batch_size, n_ctx] int64, from the id at `start` (wrapping)."""
        n = batch_size * n_ctx
        start %= len(self.ids) - n
        span = torch.from_numpy(self.ids[start:start + n + 1].astype(np.int64))
        return span[:-1].view(batch_size, n_ctx), span[1:].view(batch_size, n_ctx)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tokenizer")
    parser.add_argument("folder")
    parser.add_argument("--part-1-tokens", type=int, default=12_000_000)
    parser.add_argument("--part-2-tokens", type=int, default=12_000_000)
    parser.add_argument("--held-out-tokens", type=int, default=200_000)
    args = parser.parse_args()
    processor = tokenizer_module.load(args.tokenizer)
    make(processor, HELD_OUT_SEED, 2, args.held_out_tokens).tofile(args.folder + "/held-out.u16")
    n_tokens = {1: args.part_1_tokens, 2: args.part_2_tokens}
    np.concatenate([make(processor, seed, part, n_tokens[part]) for part, seed in TRAIN_SEEDS.items()]).tofile(args.folder + "/train.u16")
