"""Draws a comparison: the speeds as fractions of what the machine could do."""

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot

SIDES = {"mixtral": ("mixtral", "#20639b"), "llama_cpp": ("llama.cpp", "#b0b7bf")}  # label, colour
WIDTH = 0.4


def _short(speed):
    return f"{speed:.0f}" if speed >= 100 else f"{speed:.3g}"


def _draw(axes, rows, title):
    for offset, (side, (label, colour)) in zip((-WIDTH / 2, WIDTH / 2), SIDES.items()):
        at = [x + offset for x in range(len(rows))]
        bars = axes.bar(at, [100 * row[side] / row["roof"] for row in rows], WIDTH, color=colour, label=label)
        axes.bar_label(bars, [_short(row[side]) for row in rows], fontsize=7, padding=2)
    axes.axhline(100, color="black", linewidth=1, linestyle="--")
    axes.set_xticks(range(len(rows)), [f"{row['format']}\n{row['test']}" for row in rows], fontsize=8)
    axes.set_ylim(0, max(115, *axes.get_ylim()))
    axes.set_ylabel("% of the roof")
    axes.set_title(title, fontsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def draw(rows, caption, prefix):
    """Writes PREFIX.png and PREFIX.svg of the comparison's rows."""
    panels = [("Decoding; numbers are tokens per second", [r for r in rows if r["test"].startswith("tg")]),
              ("Prompts; numbers are tokens per second", [r for r in rows if r["test"].startswith("pp")])]
    panels = [(title, part) for title, part in panels if part]
    figure, all_axes = pyplot.subplots(
        len(panels), figsize=(max(6, 0.75 * max(len(part) for _, part in panels) + 1), 3.6 * len(panels)),
        squeeze=False, layout="constrained")
    for axes, (title, part) in zip(all_axes[:, 0], panels):
        _draw(axes, part, title)
    all_axes[0, 0].legend(loc="upper right", fontsize=8, frameon=False, ncols=2)
    figure.supxlabel(caption, fontsize=7)
    for extension in ("png", "svg"):
        figure.savefig(f"{prefix}.{extension}", dpi=150)
