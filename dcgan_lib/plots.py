"""Every figure of the book. Functions take tensors, arrays and statistics and return a matplotlib Figure.

Pictures are float (N, C, H, W) in [-1, 1] or uint8 (N, H, W, C), drawn pixel by pixel without smoothing. pyplot does
not know these figures, so no window opens, none piles up in memory and a notebook draws each once: where it is the last
value of a cell or goes through `display`. In a script, `figure.savefig("sheet.png")`. No text is smaller than 9 points,
and charts are no wider than a column of the book, which would draw them smaller.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import ClassVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Polygon, Rectangle
from matplotlib.ticker import MaxNLocator
from PIL import Image
from torch import Tensor

from .architecture import Architecture
from .checks import whole
from .sheets import Images, pixels, tile

BLUE, ORANGE, GREY = "#1f6fb4", "#d9661f", "#8a8f98"  # D or real, G or generated, neither
QUIET = "#62676f"  # text that stands back
COLUMN = 7.6  # inches: the book's column
SMALL = 9  # points: the smallest text


COLOURS = 4096  # a chart's lines and letters have fewer, with their soft edges


def with_palette(png: bytes, most: int = COLOURS) -> bytes:
    """A PNG with a palette of 256 colours, a third of the bytes; one that has more than `most` stays as it is.

    Up to 256 colours are kept exactly. Those of soft edges move, by a tenth of one of 255 steps on average.
    """
    picture = Image.open(io.BytesIO(png))
    if "A" in picture.mode and picture.getchannel("A").getextrema()[0] < 255:
        return png
    picture = picture.convert("RGB")
    if picture.getcolors(most) is None:
        return png
    file = io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return min(file.getvalue(), png, key=len)


class _Figure(Figure):
    """A Figure that a notebook can draw although pyplot, which would tell it how, does not know it."""

    kinds: ClassVar[dict[str, dict]] = {"png": {}}  # files that a notebook may store, and how they are written
    colours: ClassVar[int] = COLOURS

    def __init__(self, width: float, height: float):
        super().__init__(figsize=(width, height), layout="constrained")

    def _repr_mimebundle_(self, **_) -> dict[str, str]:
        drawn = {kind: self._drawn(kind, **settings) for kind, settings in self.kinds.items()}
        kind = min(drawn, key=lambda kind: len(drawn[kind]))  # the smallest file
        return {f"image/{kind}": base64.b64encode(drawn[kind]).decode()}

    def _drawn(self, kind: str, **settings) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format=kind, bbox_inches="tight", **settings)
        return with_palette(file.getvalue(), self.colours) if kind == "png" else file.getvalue()


class _Sheet(_Figure):
    """Pictures: photographs take a third of the bytes as JPEG, digits do not. Colours keep their full resolution."""

    colours = 256  # exactly, or none: soft edges of a photograph are no soft edges of a line
    kinds = _Figure.kinds | {"jpeg": {"pil_kwargs": {"quality": 90, "subsampling": 0}}}


def _show(ax: Axes, images: Images, columns: int, title: str = "") -> None:
    ax.imshow(tile(images, columns), interpolation="nearest")
    ax.set_title(title, fontsize=10)
    ax.axis("off")


def image_grid(images: Images, columns: int = 8, title: str = "", width: float = 6.0) -> Figure:
    """A sheet of pictures, `width` inches wide."""
    height, wide = tile(images, columns, gap=0).shape[:2]
    fig = _Sheet(width, width * height / wide + 0.3 * bool(title))
    _show(fig.subplots(), images, columns, title)
    return fig


def real_against_fake(
    real: Images, fake: Images, columns: int = 8, width: float = 9.0, titles: tuple[str, str] = ("real", "generated")
) -> Figure:
    """Two sheets side by side; take as many of each."""
    height, wide = tile(real, columns, gap=0).shape[:2]
    fig = _Sheet(width, width / 2 * height / wide + 0.3)
    axes = fig.subplots(1, 2)
    fig.get_layout_engine().set(wspace=0.06)  # wider than the gaps within a sheet
    for ax, images, title in zip(axes, (real, fake), titles, strict=True):
        _show(ax, images, columns, title)
    return fig


def _series(stats: Sequence[dict], name: str) -> tuple[np.ndarray, np.ndarray]:
    rows = [(row["step"], row[name]) for row in stats if name in row]
    if not rows:
        raise ValueError(f"the statistics hold no {name!r}: found {', '.join(sorted({k for r in stats for k in r}))}")
    steps, values = zip(*rows, strict=True)
    return np.array(steps), np.array(values)


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """A centred moving mean of the same length; windows shrink at the ends."""
    window = min(whole(window, "window", 1), len(values))
    window -= 1 - window % 2  # odd, so that it has a centre
    total = np.convolve(values, np.ones(window), "same")
    return total / np.convolve(np.ones(len(values)), np.ones(window), "same")


def loss_curves(stats: Sequence[dict], title: str = "", window: int = 15) -> Figure:
    """Left the losses of D and G, right D(x) and D(G(z)): pale as logged, dark as a moving mean over `window` lines."""
    fig = _Figure(COLUMN, 3)
    left, right = fig.subplots(1, 2)
    curves = (
        (left, "loss_d", "D: on real + on generated", BLUE),
        (left, "loss_g", "G", ORANGE),
        (right, "d_real", "D(x), real", BLUE),
        (right, "d_fake", "D(G(z)), generated", ORANGE),
    )
    for ax, name, label, colour in curves:
        steps, values = _series(stats, name)
        ax.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
        ax.plot(steps, smooth(values, window), color=colour, label=label, linewidth=1.8)
    left.set(ylabel="loss (nats)", ylim=(0, None))
    right.set(ylabel="probability of 'real'", ylim=(0, 1))
    right.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
    for ax in (left, right):
        ax.set_xlabel("step (minibatches)")
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.legend(frameon=False, fontsize=SMALL)
        ax.spines[["top", "right"]].set_visible(False)
    fig.suptitle(title, fontsize=11)
    return fig


def loss_panels(runs: Mapping[str, Sequence[dict]]) -> Figure:
    """The losses of D and G of several runs' statistics, a panel each, all on one scale.

    Raises ValueError for fewer than two runs: `loss_curves` shows more of one."""
    if len(runs) < 2:
        raise ValueError(f"expected the statistics of two runs or more, got {len(runs)}: take loss_curves for one")
    fig = _Figure(COLUMN, 2.4)
    panels = fig.subplots(1, len(runs), sharey=True)
    for ax, (title, stats) in zip(panels, runs.items(), strict=True):
        for name, label, colour in (("loss_d", "D", BLUE), ("loss_g", "G", ORANGE)):
            ax.plot(*_series(stats, name), color=colour, label=label, linewidth=1.5)
        ax.set_title(title, fontsize=SMALL)
        ax.set_xlabel("step")
        ax.xaxis.set_major_locator(MaxNLocator(2, integer=True))
        ax.spines[["top", "right"]].set_visible(False)
    panels[0].set(ylabel="loss (nats)", ylim=(0, None))
    panels[-1].legend(frameon=False, fontsize=SMALL)
    return fig


def film_strip(frames: Sequence[Images], labels: Sequence[str], columns: int = 8, width: float = 8.0) -> Figure:
    """One row a moment, one column a latent: how the same z's pictures change while training goes on."""
    if len(frames) != len(labels):
        raise ValueError(f"expected a label for each of the {len(frames)} frames, got {len(labels)}")
    frames = [pixels(frame)[:columns] for frame in frames]
    fig = _Sheet(width, width * len(frames) / columns)
    axes = fig.subplots(len(frames), 1, squeeze=False)
    for ax, frame, label in zip(axes[:, 0], frames, labels, strict=True):
        _show(ax, frame, columns)
        ax.text(-0.01, 0.5, label, transform=ax.transAxes, ha="right", va="center", fontsize=SMALL)
    return fig


def bars(values: Sequence[float], labels: Sequence[str], ylabel: str, level: float | None = None) -> Figure:
    """A bar a label, with a dotted line at `level` (what an even share would be, say)."""
    fig = _Figure(6, 2.4)
    ax = fig.subplots()
    ax.bar(labels, values, color=BLUE, width=0.7)
    if level is not None:
        ax.axhline(level, color=GREY, linestyle=":", linewidth=1.2)
    ax.set_ylabel(ylabel)
    ax.spines[["top", "right"]].set_visible(False)
    return fig


def accuracies(
    names: Sequence[str],
    values: Sequence[float],
    intervals: Sequence[tuple[float, float] | None],
    ours: Sequence[bool],
    xlabel: str = "test accuracy (%)",
    errors: bool = False,
) -> Figure:
    """A dot a row with its interval, best at the top; `ours` are blue, what others report grey. Values from 0 to 1.

    The best is the highest value, or the lowest where the values are `errors`."""
    order = np.argsort(-np.asarray(values) if errors else values, kind="stable")
    fig = _Figure(COLUMN, 0.34 * len(names) + 0.7)
    ax = fig.subplots()
    for y, i in enumerate(order):
        colour = BLUE if ours[i] else GREY
        if intervals[i] is not None:
            ax.plot([100 * v for v in intervals[i]], [y, y], color=colour, linewidth=2.5, solid_capstyle="round")
        ax.plot(100 * values[i], y, "o", color=colour, markersize=6)
        ax.annotate(
            f"{100 * values[i]:.1f}",
            (100 * values[i], y),
            (0, 5),
            textcoords="offset points",
            ha="center",
            fontsize=SMALL,
        )
    ax.set_yticks(range(len(names)), [names[i] for i in order], fontsize=SMALL)
    ax.set(xlabel=xlabel, ylim=(-0.6, len(names) - 0.2))
    ax.grid(axis="x", alpha=0.3)
    ax.spines[["top", "right", "left"]].set_visible(False)
    return fig


def confusion(matrix, names: Sequence[str], width: float = 5.6) -> Figure:
    """Rows are the true classes, columns the guesses; counts, coloured by their part of the row."""
    matrix = np.asarray(matrix)
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    fig = _Figure(width, width)
    ax = fig.subplots()
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(*matrix.shape):
        if matrix[i, j]:
            ax.text(
                j,
                i,
                matrix[i, j],
                ha="center",
                va="center",
                fontsize=SMALL,
                color="white" if share[i, j] > 0.5 else "#222",
            )
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=SMALL)
    ax.set_yticks(range(len(names)), names, fontsize=SMALL)
    ax.set(xlabel="guessed", ylabel="true")
    return fig


def _colours(series: dict, *first: str) -> list[str]:
    """One for each series: those that can be told apart are few."""
    known = list(dict.fromkeys((*first, BLUE, ORANGE, GREY, "#2c8f5a")))
    if len(series) > len(known):
        raise ValueError(f"expected at most {len(known)} series in one figure, got {len(series)}: {', '.join(series)}")
    return known[: len(series)]


def curves(
    series: dict[str, tuple],
    xlabel: str,
    ylabel: str,
    levels: dict[str, float] | None = None,
    log: bool = True,
    legend: str | tuple[float, float] = "best",
    y_ticks: Sequence[float] = (),
) -> Figure:
    """A line a series of (x, y), or of (x, y, intervals of y), shaded; with dotted `levels` named beside them.

    A series of a single point has its interval as a bar. x runs logarithmically unless `log` is False; `legend` is the
    place of the legend, as Matplotlib's `loc`. With `y_ticks` y runs logarithmically, too, and has these alone.
    Raises ValueError for more than four series."""
    fig = _Figure(COLUMN if levels else 6.5, 3)
    ax = fig.subplots()
    for (name, (x, y, *spread)), colour in zip(series.items(), _colours(series), strict=True):
        for intervals in spread:
            if len(x) == 1:
                ax.vlines(x, *np.array(intervals).T, color=colour, alpha=0.4, linewidth=4)
            else:
                ax.fill_between(x, *np.array(intervals).T, color=colour, alpha=0.2, linewidth=0)
        ax.plot(x, y, "o-", color=colour, label=name, markersize=4)
    for name, level in (levels or {}).items():
        ax.axhline(level, color=GREY, linestyle=":", linewidth=1.2)
        ax.annotate(fill(name, 26), (1, level), (4, 0), xycoords=("axes fraction", "data"),
                    textcoords="offset points", va="center", fontsize=SMALL, color=QUIET)  # fmt: skip
    if log and any(min(x) <= 0 for x, *_ in series.values()):  # a logarithm that has room for 0
        ax.set_xscale("symlog", linthresh=50)
    elif log:
        ax.set_xscale("log")
        if 0 < len(at := sorted({v for x, *_ in series.values() for v in x})) <= 8:  # else powers of ten
            named, room = at[:1], (at[-1] / at[0]) ** 0.1  # a tenth of the axis for a label
            for v in at[1:]:
                if v >= room * named[-1]:
                    named.append(v)
            ax.set_xticks(at, [f"{v:,.10g}" if v in named else "" for v in at])
            ax.minorticks_off()
    if y_ticks:
        ax.set_yscale("log")
        ax.set_yticks(y_ticks, [f"{tick:g}" for tick in y_ticks])
        ax.minorticks_off()
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if len(series) > 1:
        ax.legend(loc=legend, facecolor="white", edgecolor="none", fontsize=SMALL)  # over dotted levels
    ax.spines[["top", "right"]].set_visible(False)
    return fig


def labelled(images: Images, labels: Sequence[str], columns: int = 8, width: float = 9.0) -> Figure:
    """Pictures with a line or two of text under each."""
    drawn = pixels(images)
    if len(drawn) != len(labels):
        raise ValueError(f"expected a label for each of the {len(drawn)} pictures, got {len(labels)}")
    rows = -(-len(drawn) // columns)
    fig = _Sheet(width, rows * (width / columns + 0.4))
    axes = fig.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, picture, label in zip(axes.flat, drawn, labels, strict=False):
        ax.imshow(tile(picture[None], 1), interpolation="nearest")
        ax.set_title(label, fontsize=SMALL, y=0, pad=-3, va="top")
    return fig


def histograms(
    edges: Sequence[float], shares: dict[str, Sequence[float]], xlabel: str, line: float | None = None
) -> Figure:
    """Overlaid histograms of the same bins: edges (B + 1,), shares (B,) by name; dotted at `line`.

    Raises ValueError for more than four of them.
    """
    fig = _Figure(6.5, 2.6)
    ax = fig.subplots()
    for (name, values), colour in zip(shares.items(), _colours(shares, ORANGE, BLUE), strict=True):
        ax.stairs(values, edges, color=colour, fill=True, alpha=0.35)
        ax.stairs(values, edges, color=colour, label=name, linewidth=1.5)
    if line is not None:
        ax.axvline(line, color=GREY, linestyle=":", linewidth=1.5)
    ax.set(xlabel=xlabel, ylabel="share of pictures")
    ax.legend(frameon=False, fontsize=SMALL)
    ax.spines[["top", "right"]].set_visible(False)
    return fig


def arithmetic(terms: Sequence[tuple[str, str, Images]], results: Images, result: str, width: float = 9.0) -> Figure:
    """The paper's figure of sums: a column a term, then nine results with the sum itself in the middle.

    `terms` are (sign, name, pictures (4, …)): three exemplars and below them the picture of their mean. `results` are
    nine pictures, the sum first and then its neighbours.
    """
    if len(results) != 9 or any(len(pictures) != 4 for _, _, pictures in terms):
        raise ValueError("expected 4 pictures a term (three exemplars and their mean) and 9 results")
    fig = _Sheet(width, width * 0.42)
    grid = fig.add_gridspec(1, 2 * len(terms) + 1, width_ratios=[0.25, 1] * len(terms) + [3.4])
    for i, (sign, name, pictures) in enumerate(terms):
        fig.add_subplot(grid[2 * i]).set_axis_off()
        fig.axes[-1].text(0.5, 0.5, sign, ha="center", va="center", fontsize=20)
        ax = fig.add_subplot(grid[2 * i + 1])
        _show(ax, pictures, 1, name)
        side = pixels(pictures).shape[1]
        ax.axhline(3 * (side + 2) - 1.5, color="#222", linewidth=2)  # above the mean, as one rules off a sum
    nine = pixels(results)[[1, 2, 3, 4, 0, 5, 6, 7, 8]]
    ax = fig.add_subplot(grid[-1])
    _show(ax, nine, 3, f"= {result}")
    side = nine.shape[1]
    ax.add_patch(Rectangle((side + 0.5, side + 0.5), side + 2, side + 2, fill=False, edgecolor=ORANGE, linewidth=2.5))
    return fig


def rates(training: dict[str, dict], width: float = 7.0) -> Figure:
    """Pictures a second of two loops for each network: medians as bars, the smallest and largest of repeats as lines.

    `training` is what benchmarks/speed.py measures: network → {"plain", "ours": {"median", "smallest", "largest"},
    "ratio": …, "fastest_possible": …}; a loop may lack its smallest and largest. The dotted mark is the rate of large
    matrix products.
    """
    fig = _Figure(width, 2.6)
    axes = fig.subplots(1, len(training), squeeze=False)
    for ax, (name, row) in zip(axes[0], training.items(), strict=True):
        for x, (key, colour) in enumerate((("plain", GREY), ("ours", BLUE))):
            r = row[key]
            spread = [[r["median"] - r["smallest"]], [r["largest"] - r["median"]]] if "smallest" in r else None
            ax.bar(x, r["median"], 0.7, color=colour, yerr=spread, capsize=3)
        ax.axhline(row["fastest_possible"], color="black", linestyle=":", linewidth=1)
        ax.set_xticks([0, 1], ["tutorials'", "ours"])
        ax.set_title(f"{name}\n{row['ratio']['median']:.2f}x", fontsize=SMALL)
        ax.set_ylim(0)
    axes[0, 0].set_ylabel("pictures a second")
    return fig


def heat_maps(maps: Sequence[np.ndarray | Tensor], titles: Sequence[str], width: float = COLUMN) -> Figure:
    """Small matrices (H, W) side by side, each with its own colour scale, from 0 or below; titles say the range."""
    fig = _Figure(width, width / len(maps) + 0.4)
    axes = fig.subplots(1, len(maps), squeeze=False)
    for ax, values, title in zip(axes[0], maps, titles, strict=True):
        values = np.asarray(values)
        ax.imshow(values, cmap="viridis", interpolation="nearest", vmin=min(0, values.min()))
        ax.set_title(f"{title}\n{values.min():.2g} … {values.max():.2g}", fontsize=SMALL)
        ax.axis("off")
    return fig


def draw_architecture(arch: Architecture, width: float = 9.8) -> Figure:
    """Both networks as rows of blocks: height grows with the side, width with the channels (the paper's figure 1)."""
    sides, channels = list(arch.sizes), [arch.channels, *arch.widths]
    kernel = f"{arch.kernel_size}×{arch.kernel_size}"
    fig = _Figure(width, 0.48 * width)
    axes = fig.subplots(2, 1)
    for ax, name in zip(axes, ("Generator", "Discriminator"), strict=True):
        up = name == "Generator"
        turn = slice(None, None, -1 if up else 1)
        blocks = [
            (0.3 + 1.7 * side / sides[0], depth, f"{side}×{side}\n{depth}")
            for side, depth in zip(sides[turn], channels[turn], strict=True)
        ]
        links = [f"{kernel}\nstride {'½' if up and s == 2 else s}" for s in arch.layer_strides[turn]]
        vector = (0.8, 0, f"z\n{arch.latent_dim}" if up else "logit\n1")
        blocks.insert(0 if up else len(blocks), vector)
        links.insert(0 if up else len(links), "dense")
        x = 0.0
        for i, (height, depth, label) in enumerate(blocks):
            x = _slab(ax, x, 0.12 + 0.11 * np.log2(depth + 1), height, ORANGE if up else BLUE, label)
            if i < len(links):
                ax.annotate("", (x + 0.95, 0), (x + 0.1, 0), arrowprops={"arrowstyle": "->", "color": GREY})
                ax.text(x + 0.5, 0.1, links[i], ha="center", va="bottom", fontsize=SMALL, color=QUIET)
                x += 1.05
        ax.set_title(name, loc="left", fontsize=11)
        ax.set(xlim=(-0.1, x + 0.1), ylim=(-1.6, 1.4), aspect="equal")
        ax.axis("off")
    return fig


def _slab(ax: Axes, x: float, depth: float, height: float, colour: str, label: str) -> float:
    """A block from its front, `depth` wide and `height` high around 0, with top and side; returns its right end."""
    low, high, lean = -height / 2, height / 2, 0.12 * height
    front = [(x, low), (x + depth, low), (x + depth, high), (x, high)]
    top = [(x, high), (x + depth, high), (x + depth + lean, high + lean), (x + lean, high + lean)]
    side = [(x + depth, low), (x + depth, high), (x + depth + lean, high + lean), (x + depth + lean, low + lean)]
    for points, alpha in ((front, 0.85), (top, 0.45), (side, 0.6)):
        ax.add_patch(Polygon(points, facecolor=colour, alpha=alpha, edgecolor="white", linewidth=0.8))
    ax.text(x + depth / 2, low - 0.08, label, ha="center", va="top", fontsize=SMALL)
    return x + depth + lean


def marks(panels: dict[str, dict[str, Sequence[int]]], columns: Sequence[str], names: dict[int, str]) -> Figure:
    """Panels side by side, each a row a name and a coloured square a column: -1 orange, 0 pale, 1 blue.

    `panels` are rows by title; `names` say what -1, 0 and 1 mean. Raises ValueError for rows of another length and for
    other numbers.
    """
    for rows in panels.values():
        for name, row in rows.items():
            if len(row) != len(columns) or not set(row) <= names.keys() & {-1, 0, 1}:
                raise ValueError(f"expected {len(columns)} of {sorted(names)} for {name!r}, got {list(row)}")
    colours = {-1: ORANGE, 0: "#e9ebee", 1: BLUE}
    fig = _Figure(COLUMN, 0.21 * max(map(len, panels.values())) + 1.6)
    for ax, (title, rows) in zip(fig.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        squares = np.array([[to_rgb(colours[value]) for value in row] for row in rows.values()])  # (rows, columns, 3)
        ax.imshow(squares, aspect="auto", interpolation="nearest")
        ax.set_title(title, fontsize=10)
        ax.set_xticks(range(len(columns)), columns, rotation=90, fontsize=SMALL)
        ax.set_yticks(range(len(rows)), list(rows), fontsize=SMALL)
        ax.set_xticks(np.arange(len(columns) - 1) + 0.5, minor=True)
        ax.set_yticks(np.arange(len(rows) - 1) + 0.5, minor=True)
        ax.grid(which="minor", color="white", linewidth=2)
        ax.tick_params(which="both", length=0)
        ax.spines[:].set_visible(False)
    legend = [Patch(color=colours[value], label=name) for value, name in names.items()]
    fig.legend(handles=legend, loc="outside lower center", ncols=len(legend), frameon=False, fontsize=SMALL)
    return fig


def dots(
    panels: dict[str, dict[str, tuple[float, float, float]]],
    xlabel: str,
    line: str,
    width: float = COLUMN,
    sharex: bool = False,
) -> Figure:
    """A panel beside another: a dot a row with its interval, (value, low, high) by name, the same rows in each.

    Dotted at the row `line`, to which the others are compared; its own dot is orange. `sharex`: one scale for all
    panels, as matplotlib has it.
    """
    names = list(next(iter(panels.values())))
    fig = _Figure(width, 0.36 * len(names) + 1.0)
    for ax, (title, rows) in zip(
        fig.subplots(1, len(panels), sharex=sharex, sharey=True, squeeze=False)[0], panels.items(), strict=True
    ):
        ax.axvline(rows[line][0], color=ORANGE, linestyle=":", linewidth=1.5)
        for y, name in enumerate(reversed(names)):
            value, low, high = rows[name]
            colour = ORANGE if name == line else BLUE
            ax.plot([low, high], [y, y], color=colour, linewidth=2.5, solid_capstyle="round")
            ax.plot(value, y, "o", color=colour, markersize=6)
        ax.set_title(title, fontsize=10)
        ax.set_xlabel(xlabel, fontsize=SMALL)
        ax.tick_params(labelsize=SMALL, left=False)
        ax.set_yticks(range(len(names)), list(reversed(names)))
        ax.set_ylim(-0.6, len(names) - 0.4)
        ax.grid(axis="x", alpha=0.3)
        ax.spines[["top", "right", "left"]].set_visible(False)
    return fig
