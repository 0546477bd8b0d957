"""Trains the model. Resumes by itself from the last checkpoint in the output folder.

The learning rate warms up, stays constant, and from `--decay-from` on falls linearly to zero. The
context is short until then and long after it; the tokens of a step stay the same. The options may
be changed when a run is resumed; it goes on with the first token that it has not seen.
"""

import argparse
import csv
import os
import time

import torch
from torch.nn import functional as F

import data
import tokenizer as tokenizer_module
from model import Config, Mixtral

PROMPTS = ["Once upon a time", "12 + 7 =", "What is your favourite condiment?", "[INST] Do you have mayonnaise recipes? [/INST]"]


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer")
    parser.add_argument("data", help="folder with train.u16 and held-out.u16")
    parser.add_argument("out", help="folder for checkpoint.pt and log.csv")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--decay-from", type=int, help="step where the decay begins (default: none)")
    parser.add_argument("--step-tokens", type=int, default=4096)
    parser.add_argument("--short-ctx", type=int, default=256)
    parser.add_argument("--long-ctx", type=int, default=512)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--balance", type=float, default=0.02, help="weight of the router's balance loss")
    parser.add_argument("--save-minutes", type=float, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.decay_from = args.steps if args.decay_from is None else args.decay_from
    return args


def learning_rate(args, step):
    if step >= args.decay_from:
        return args.lr * (args.steps - step) / (args.steps - args.decay_from)
    return args.lr * min(1.0, (step + 1) / args.warmup)


def make_optimizer(model, args):
    matrices = [p for p in model.parameters() if p.dim() > 1]
    gains = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": args.weight_decay}, {"params": gains, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.95), foreach=True)


@torch.no_grad()
def held_out_loss(model, windows, n_batches=4):
    losses = []
    for i in range(n_batches):
        inputs, targets = windows.batch(i * 8 * 256, 8, 256)
        losses.append(F.cross_entropy(model(inputs)[0].flatten(0, 1), targets.flatten()).item())
    return sum(losses) / n_batches


def show_samples(model, tokenizer):
    for prompt in PROMPTS:
        ids = [tokenizer.bos_id()] + tokenizer.encode(prompt)
        print("|", tokenizer.decode(model.generate(ids, 48, tokenizer.eos_id())).replace("\n", "\\n"), flush=True)


def save(path, **state):
    torch.save(state, path + ".part")
    os.replace(path + ".part", path)  # a stop in the middle leaves the older checkpoint whole


def train(args):
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    tokenizer = tokenizer_module.load(args.tokenizer)
    train_ids, held_out_ids = data.Windows(args.data + "/train.u16"), data.Windows(args.data + "/held-out.u16")
    model = Mixtral(Config(vocab=tokenizer.vocab_size()))
    optimizer = make_optimizer(model, args)
    os.makedirs(args.out, exist_ok=True)
    checkpoint, first_step, n_seen, log = args.out + "/checkpoint.pt", 0, 0, []
    if os.path.exists(checkpoint):
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first_step, n_seen, log = state["step"], state["tokens"], state["log"]
    print(sum(p.numel() for p in model.parameters()), "parameters; from step", first_step, flush=True)

    def save_all(step):
        save(checkpoint, model=model.state_dict(), optimizer=optimizer.state_dict(), step=step, tokens=n_seen, log=log, settings=vars(args))
        with open(args.out + "/log.csv", "w", newline="") as file:
            csv.writer(file).writerows([["step", "tokens", "loss", "balance", "held_out_loss", "learning_rate", "seconds"], *log])

    started = saved = time.time()
    before = log[-1][-1] if log else 0.0
    mean_loss, mean_balance, n_mean = 0.0, 0.0, 0
    for step in range(first_step, args.steps):
        n_ctx = args.short_ctx if step < args.decay_from else args.long_ctx
        inputs, targets = train_ids.batch(n_seen, args.step_tokens // n_ctx, n_ctx)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(args, step)
        logits, balance, counts = model(inputs)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad(set_to_none=True)
        (loss + args.balance * balance).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        mean_loss, mean_balance, n_mean = mean_loss + loss.item(), mean_balance + balance.item(), n_mean + 1

        done, n_seen = step + 1, n_seen + args.step_tokens
        if done % 20 == 0 or done == args.steps:
            held_out = held_out_loss(model, held_out_ids) if done % 100 == 0 or done == args.steps else ""
            seconds = before + time.time() - started
            log.append([done, n_seen, mean_loss / n_mean, mean_balance / n_mean, held_out, learning_rate(args, step), seconds])
            least = (counts.min(1).values / counts.sum(1)).min().item()
            print(f"{done} loss {mean_loss / n_mean:.4f} balance {mean_balance / n_mean:.3f} held-out {held_out} least expert {least:.3f} {seconds:.0f} s", flush=True)
            mean_loss, mean_balance, n_mean = 0.0, 0.0, 0
        if done == args.steps or time.time() - saved > 60 * args.save_minutes:
            save_all(done)
            show_samples(model, tokenizer)
            saved = time.time()


if __name__ == "__main__":
    train(parse_args())
