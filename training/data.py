"""Writes documents as one long row of token ids (uint16), and reads random windows of it."""

import argparse

import numpy as np
import torch

import corpus
import tokenizer as tokenizer_module

TRAIN_SEED = 100
HELD_OUT_SEED = 200


def write(path, tokenizer, seed, n_tokens):
    ids = []
    for document in corpus.documents(seed):
        ids += tokenizer_module.encode(tokenizer, document)
        if len(ids) >= n_tokens:
            break
    np.array(ids[:n_tokens], dtype=np.uint16).tofile(path)


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
    parser.add_argument("--train-tokens", type=int, default=20_000_000)
    parser.add_argument("--held-out-tokens", type=int, default=200_000)
    args = parser.parse_args()
    processor = tokenizer_module.load(args.tokenizer)
    write(args.folder + "/train.u16", processor, TRAIN_SEED, args.train_tokens)
    write(args.folder + "/held-out.u16", processor, HELD_OUT_SEED, args.held_out_tokens)
