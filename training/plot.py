"""Draws the loss curve of a log.csv."""

import argparse
import csv

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402 (the backend comes first)


def draw(log_path, picture_path):
    with open(log_path) as file:
        rows = list(csv.DictReader(file))
    held_out = [row for row in rows if row["held_out_loss"]]
    figure, axes = plt.subplots(figsize=(7, 4), dpi=110)
    axes.plot([int(r["tokens"]) / 1e6 for r in rows], [float(r["loss"]) for r in rows], lw=1, label="training (mean of 20 steps)")
    axes.plot([int(r["tokens"]) / 1e6 for r in held_out], [float(r["held_out_loss"]) for r in held_out], lw=1.5, label="held out")
    axes.set_xlabel("tokens seen (millions)")
    axes.set_ylabel("cross-entropy (nats per token)")
    axes.set_yscale("log")
    axes.set_yticks([0.5, 0.7, 1, 2, 4, 7], ["0.5", "0.7", "1", "2", "4", "7"])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(picture_path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log")
    parser.add_argument("picture")
    args = parser.parse_args()
    draw(args.log, args.picture)
