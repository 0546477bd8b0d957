"""Draws quality against bits per weight: the recipes, the front, and the default."""

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot

DEFAULT = "iq4_xs_mixed"
COLOUR, FRONT_COLOUR = "#b0b7bf", "#20639b"
MAX_BITS = 9  # bf16, far away, would press the others together


def front(points):
    """The points (bits, kl, name) that no other beats in both."""
    best, chosen = float("inf"), []
    for point in sorted(points):
        if point[1] < best:
            best = point[1]
            chosen.append(point)
    return chosen


def _draw(axes, points, title):
    on_front = front(points)
    axes.plot([p[0] for p in on_front], [p[1] for p in on_front], color=FRONT_COLOUR, linewidth=1, label="front")
    for bits, kl, name in points:
        is_default = name == DEFAULT
        colour = FRONT_COLOUR if (bits, kl, name) in on_front else COLOUR
        axes.plot(bits, kl, "*" if is_default else "o", markersize=14 if is_default else 5, color=colour,
                  label="default" if is_default else None)
        if " " in name:  # the table has what was tried besides
            continue
        if (bits, kl, name) in on_front:
            axes.annotate(name, (bits, kl), fontsize=7, xytext=(-3, -4), textcoords="offset points", ha="right", va="top")
        else:
            axes.annotate(name, (bits, kl), fontsize=7, color="#808890", xytext=(4, 3), textcoords="offset points")
    axes.set_yscale("log")
    axes.set_xscale("log")
    axes.set_xticks([3, 4, 5, 6, 7, 8], ["3", "4", "5", "6", "7", "8"])
    axes.minorticks_off()
    axes.set_ylabel("mean KL divergence from f32, nats per token")
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=8, frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def draw(results, prefix):
    """Writes PREFIX.png and PREFIX.svg of measure.py's results."""
    models = list(dict.fromkeys(model for result in results.values() for model in result["models"]))
    figure, all_axes = pyplot.subplots(len(models), figsize=(9, 5.5 * len(models)), squeeze=False, layout="constrained")
    for axes, model in zip(all_axes[:, 0], models):
        points = [(result["bits"]["8x7b"], result["models"][model]["kl"], name)
                  for name, result in results.items() if model in result["models"]]
        _draw(axes, [point for point in points if point[0] < MAX_BITS], model)
    figure.supxlabel("bits per weight in the shape of Mixtral 8x7B", fontsize=8)
    for extension in ("png", "svg"):
        figure.savefig(f"{prefix}.{extension}", dpi=150)
