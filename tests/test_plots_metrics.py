"""Figures show the pixels that they were given."""

import base64
import io
import os
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from PIL import Image

from dcgan_lib import data, latent, models, plots, sheets

RNG = np.random.default_rng(0)


def pictures(n=5, size=8, channels=3):
    return RNG.integers(0, 256, (n, size, size, channels), np.uint8)


def test_tile_places_each_picture():
    x = pictures(5)
    sheet = sheets.tile(x, columns=3, gap=2)
    assert sheet.shape == (18, 28, 3)
    for i, picture in enumerate(x):
        top, left = i // 3 * 10, i % 3 * 10
        np.testing.assert_array_equal(sheet[top : top + 8, left : left + 8], picture)
    assert (sheet[8:10] == 255).all() and (sheet[10:, 20:] == 255).all()
    np.testing.assert_array_equal(sheets.untile(sheets.tile(x, 3, gap=0), 8)[:5], x)
    np.testing.assert_array_equal(sheets.tile(data.to_float(x), 3), sheet)
    grey = pictures(2, channels=1)
    assert (sheets.tile(grey, 2)[:, :8] == grey[0]).all()


@pytest.mark.parametrize(("channels", "blocks"), [(3, 4), (1, 2)])
def test_coarse_pictures_are_means_of_their_squares(channels, blocks):
    x, side = pictures(3, channels=channels), 8 // blocks
    found = sheets.coarse(x, blocks)
    assert found.shape == x.shape and found.dtype == np.uint8
    for n, i, j, c in np.ndindex(3, blocks, blocks, channels):
        square = (n, slice(i * side, (i + 1) * side), slice(j * side, (j + 1) * side), c)
        assert (found[square] == round(float(x[square].astype(float).mean()))).all()
    np.testing.assert_array_equal(sheets.coarse(data.to_float(x), blocks), found)
    with pytest.raises(ValueError, match="multiples of blocks, 3, got 8 x 8"):
        sheets.coarse(x, 3)


def test_figures_draw_what_they_get():
    x = pictures(8)
    figure = plots.image_grid(x, columns=4, title="eight")
    (image,) = figure.axes[0].images
    np.testing.assert_array_equal(image.get_array(), sheets.tile(x, 4))
    assert image.get_interpolation() == "nearest"
    figure = plots.real_against_fake(x, 255 - x, columns=4)
    assert [a.get_title() for a in figure.axes] == ["real", "generated"]
    figure = plots.film_strip([x, x, x], ["1", "2", "3"], columns=8)
    assert len(figure.axes) == 3
    with pytest.raises(ValueError, match="a label for each of the 3 frames, got 2"):
        plots.film_strip([x, x, x], ["1", "2"])


def test_no_series_is_left_out_in_silence():
    four = {name: ([1, 2], [1, 2]) for name in "abcd"}
    assert len(plots.curves(four, "x", "y").axes[0].lines) == 4
    assert len(plots.histograms([0, 1, 2], {name: [1, 2] for name in "abcd"}, "x").axes[0].patches) == 8
    with pytest.raises(ValueError, match="at most 4 series in one figure, got 5: a, b, c, d, e"):
        plots.curves(four | {"e": ([1], [1])}, "x", "y")
    with pytest.raises(ValueError, match="at most 4 series"):
        plots.histograms([0, 1], {name: [1] for name in "abcde"}, "x")


def test_loss_curves_show_the_statistics():
    stats = [{"step": s, "loss_d": 1 + s % 2, "loss_g": 2.0, "d_real": 0.8, "d_fake": 0.1} for s in range(1, 41)] + [
        {"step": 41, "loss_g": 3.0}
    ]
    figure = plots.loss_curves(stats, window=3)
    raw = figure.axes[0].lines[0]
    assert raw.get_ydata().tolist() == [1 + s % 2 for s in range(1, 41)]
    assert figure.axes[0].lines[2].get_xdata()[-1] == 41
    assert {t.get_text() for t in figure.axes[1].get_legend().get_texts()} == {"D(x), real", "D(G(z)), generated"}
    with pytest.raises(ValueError, match="hold no 'loss_d': found loss_g, step"):
        plots.loss_curves([{"step": 1, "loss_g": 1.0}])
    panels = plots.loss_panels({"a": stats, "b": stats}).axes
    assert [ax.get_title() for ax in panels] == ["a", "b"] and panels[0].lines[1].get_ydata()[-1] == 3
    with pytest.raises(ValueError, match="two runs or more, got 1"):
        plots.loss_panels({"a": stats})


def stored(figure):
    """The picture that a notebook keeps."""
    ((kind, data),) = figure._repr_mimebundle_().items()
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert kind == f"image/{picture.format.lower()}"
    return picture


def test_a_notebook_keeps_the_smaller_file():
    """Photographs as JPEG, close to what was drawn; line drawings and charts as PNG."""
    light = np.linspace(60, 190, 32)[:, None, None] + RNG.normal(0, 6, (16, 32, 32, 3))  # a sky, and a camera's noise
    noise = plots.image_grid(light.astype(np.uint8), width=4)
    file = io.BytesIO()
    noise.savefig(file, format="png", bbox_inches="tight")
    exact, kept = Image.open(file).convert("RGB"), stored(noise)
    assert kept.format == "JPEG" and kept.size == exact.size
    assert np.abs(np.asarray(exact).astype(int) - np.asarray(kept)).mean() < 3  # of 255
    even = np.zeros((4, 32, 32, 1), np.uint8)
    assert stored(plots.image_grid(even)).format == "PNG" == stored(plots.bars([1.0], ["a"], "b")).format
    few = stored(plots.image_grid(light[:4].astype(np.uint8)))  # few pixels, and photographs all the same
    assert few.mode in ("RGB", "RGBA")


def written(picture, mode="RGB"):
    file = io.BytesIO()
    Image.fromarray(picture, mode).save(file, "PNG")
    return file.getvalue()


def test_charts_have_a_palette_and_look_the_same():
    rows = {str(i): (i, i - 0.4, i + 0.4) for i in range(12)}
    figure, file = plots.dots({"a": rows, "b": rows}, "distance", "3"), io.BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight")
    drawn, kept = Image.open(file).convert("RGB"), stored(figure)
    assert kept.mode == "P" and kept.size == drawn.size
    away = np.abs(np.asarray(drawn).astype(int) - np.asarray(kept.convert("RGB")))
    assert away.mean() < 0.2 and (away > 60).mean() < 1e-3  # of 255
    assert len(plots.with_palette(file.getvalue())) < 0.5 * len(file.getvalue())
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None].repeat(3, 2)
    few = Image.open(io.BytesIO(plots.with_palette(written(grey)))).convert("RGB")
    assert np.array_equal(np.asarray(few), grey)
    for stays in (RNG.integers(0, 256, (80, 80, 3), np.uint8), np.zeros((8, 8, 4), np.uint8)):  # a photograph, a hole
        png = written(stays, "RGBA" if stays.shape[-1] == 4 else "RGB")
        assert plots.with_palette(png) == png


NAMES = {-1: "called worse", 0: "not seen", 1: "called better"}


def test_marks_colour_what_they_are_given():
    figure = plots.marks({"one": {"a": [-1, 0], "b": [0, 1]}, "two": {"a": [1, 1]}}, ["x", "y"], NAMES)
    first, second = (ax.images[0].get_array() for ax in figure.axes)  # (2, 2, 3) and (1, 2, 3)
    orange, blue = np.array(to_rgb(plots.ORANGE)), np.array(to_rgb(plots.BLUE))
    assert (first[0, 0] == orange).all() and (first[1, 1] == blue).all() and (second == blue).all()
    assert (first[0, 1] == first[1, 0]).all() and not (first[0, 1] == orange).all()
    with pytest.raises(ValueError, match=r"expected 2 of .* for 'a', got \[2, 0\]"):
        plots.marks({"one": {"a": [2, 0]}}, ["x", "y"], NAMES)
    with pytest.raises(ValueError, match=r"got \[0\]"):
        plots.marks({"one": {"a": [0]}}, ["x", "y"], NAMES)


def every_figure():
    """A call of each function of plots, at its default size, with as many words as the book has."""
    x, line = pictures(20), ([1, 10, 100], [0.1, 0.2, 0.3], [(0.0, 0.2), (0.1, 0.3), (0.2, 0.4)])
    classes = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    stats = [{"step": s, "loss_d": 1.0, "loss_g": 2.0, "d_real": 0.8, "d_fake": 0.1} for s in range(1, 41)]
    rate = {"median": 50.0, "smallest": 45.0, "largest": 60.0}
    row = {"plain": rate, "ours": rate, "ratio": rate, "fastest_possible": 90.0}
    spread = dict.fromkeys(classes, (1.0, 0.9, 1.1))
    return {
        "image_grid": lambda: plots.image_grid(x, title="twenty"),
        "real_against_fake": lambda: plots.real_against_fake(x, x),
        "loss_curves": lambda: plots.loss_curves(stats, "losses"),
        "loss_panels": lambda: plots.loss_panels({name: stats for name in "abcde"}),
        "film_strip": lambda: plots.film_strip([x, x], ["step 1", "step 10,000"]),
        "bars": lambda: plots.bars([0.1] * 10, classes, "share", 0.1),
        "accuracies": lambda: plots.accuracies(classes, [0.5] * 10, [(0.4, 0.6)] * 10, [True] * 10),
        "confusion": lambda: plots.confusion(RNG.integers(0, 999, (10, 10)), classes),
        "curves": lambda: plots.curves({"a": line, "b": line}, "labels", "accuracy", {"random weights": 0.1}),
        "labelled": lambda: plots.labelled(x, ["automobile\n→ airplane"] * 20),
        "histograms": lambda: plots.histograms([0, 1, 2], {"a": [0.5, 0.5]}, "distance", 1.0),
        "arithmetic": lambda: plots.arithmetic([("", "a", x[:4]), ("−", "b", x[:4])], x[:9], "c"),
        "rates": lambda: plots.rates({"tutorial64": row, "paper64": row}),
        "heat_maps": lambda: plots.heat_maps([RNG.random((4, 4))] * 7, ["convolution 1"] * 7),
        "dots": lambda: plots.dots({"pixels": spread, "features": spread}, "distance", "cat"),
        "marks": lambda: plots.marks({key: {"truncated 0.7": [-1, 0, 1]} for key in "abc"}, ["x", "y", "z"], NAMES),
        "draw_architecture": lambda: plots.draw_architecture(models.architecture("paper64")),
    }


def test_every_figure_is_there():
    public = {n for n, f in vars(plots).items() if getattr(f, "__annotations__", {}).get("return") == "Figure"}
    assert public == set(every_figure())


SHEETS = (
    "image_grid",
    "real_against_fake",
    "film_strip",
    "labelled",
    "arithmetic",
)  # never shown smaller than they are


@pytest.mark.parametrize("name", every_figure())
def test_text_is_at_least_nine_points_as_seen(name):
    """In the book's column of 774 pixels, of which 100 are an inch; and the contrast with white is 4.5 at least."""
    figure = every_figure()[name]()
    with stored(figure) as drawn:
        scale = 1 if name in SHEETS else min(1, 774 / drawn.width)
    texts = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]
    assert texts or name == "image_grid"
    for text in texts:
        assert text.get_fontsize() * scale >= 9, text
        red, green, blue = (
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(text.get_color())
        )
        light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        # 0.83: white as the book dims it in the dark; white text stands on a bar or cell of its own
        assert (0.83 + 0.05) / (light + 0.05) >= 4.5 or light == 1, text


def test_smooth_is_a_moving_mean():
    values = RNG.random(20)
    smooth = plots.smooth(values, 3)
    np.testing.assert_allclose(smooth[1:-1], [values[i - 1 : i + 2].mean() for i in range(1, 19)])
    np.testing.assert_allclose(smooth[0], values[:2].mean())
    np.testing.assert_allclose(plots.smooth(values[:4], 15)[1], values[:3].mean())
    np.testing.assert_allclose(plots.smooth(values[:1], 15), values[:1])
    with pytest.raises(ValueError, match="window must be at least 1, got 0"):
        plots.smooth(values, 0)


def test_figures_are_drawn_once_and_are_nobody_elses(tmp_path):
    figure = plots.image_grid(pictures(8), columns=4)
    assert plt.get_fignums() == []  # neither a window nor a second drawing at the end of a notebook's cell
    shown = stored(figure)
    figure.savefig(tmp_path / "sheet.png", bbox_inches="tight")
    shown, saved = (np.asarray(p.convert("RGB")) for p in (shown, Image.open(tmp_path / "sheet.png")))
    assert (shown == saved).all() and shown.std() > 5


def gif(path) -> np.ndarray:
    """Frames (n, H, W, 3) of a film."""
    with Image.open(path) as film:
        frames = []
        for i in range(film.n_frames):
            film.seek(i)
            frames.append(np.asarray(film.convert("RGB")))
    return np.stack(frames)


def test_animation_has_every_frame(tmp_path):
    frames = [pictures(4) for _ in range(5)]
    path = sheets.animation(frames, tmp_path / "new" / "film.gif", columns=2)
    with Image.open(path) as film:
        assert film.n_frames == 5 and film.size == (18, 18) and film.info["loop"] == 0
    assert [p.name for p in path.parent.iterdir()] == ["film.gif"]
    larger = sheets.animation(frames, tmp_path / "large.gif", columns=2, magnify=3)
    assert gif(larger).shape == (5, 54, 54, 3)
    uneven = sheets.animation([pictures(2), pictures(3)], tmp_path / "uneven.gif")
    assert gif(uneven).shape == (2, 8, 28, 3)  # as wide as the widest


@pytest.mark.parametrize("asked, last, stored", [(20, 1, 20), (34, 2, 30), (35, 3, 40), (655_350, 1, 655_350)])
def test_times_are_hundredths_of_a_second(tmp_path, asked, last, stored):
    path = sheets.animation([pictures(4), pictures(4)], tmp_path / "film.gif", milliseconds=asked, last=last)
    with Image.open(path) as film:
        times = [film.info["duration"] for _ in [film.seek(0)]]
        film.seek(1)
        assert [*times, film.info["duration"]] == [stored, round(last * asked / 10 + 1e-9) * 10]


def test_a_walk_goes_into_an_animation(tmp_path):
    generator, _ = models.build("tiny32", seed=0)
    walk = latent.interpolate(models.sample_latent(2, generator.arch, 0), 5)
    drawn = data.to_uint8(models.sample(generator, walk))
    film = gif(sheets.animation(walk, tmp_path / "walk.gif", generator))
    assert film.shape == (5, 32, 32, 3) and abs(film.astype(int) - drawn).mean() < 8  # 256 colours
    pair = torch.stack([walk, walk.flip(0)], 1)  # (5, 2, latent_dim)
    film = gif(sheets.animation(pair, tmp_path / "walks.gif", generator, columns=2))
    assert abs(film[:, :, 34:].astype(int) - drawn[::-1]).mean() < 8
    film = gif(sheets.animation(drawn, tmp_path / "pictures.gif"))
    assert film.shape == (5, 32, 32, 3) and abs(film.astype(int) - drawn).mean() < 8
    with pytest.raises(ValueError, match=r"latents \(5, \d+\) become pictures by a generator"):
        sheets.animation(walk, tmp_path / "x.gif")
    with pytest.raises(ValueError, match="expected latents of width"):
        sheets.animation(walk[:, :-1], tmp_path / "x.gif", generator)
    with pytest.raises(ValueError, match="at least one frame"):
        sheets.animation(walk[:0], tmp_path / "x.gif", generator)
    assert not (tmp_path / "x.gif").exists()


def test_each_of_several_walks_keeps_its_class():
    generator, _ = models.build("mnist28_conditional", seed=0, widths=(4, 6), dense_units=12, latent_dim=8)
    walks = torch.randn(3, 2, 8, generator=torch.Generator().manual_seed(0))
    frames = torch.stack(sheets._drawn(walks, generator))  # (3, 2, 1, 28, 28)
    for k in range(2):
        expected = models.sample(generator, walks[:, k], labels=torch.full((3,), k))
        torch.testing.assert_close(frames[:, k], expected)


def test_a_runs_folder_becomes_a_film(tmp_path):
    moments = [pictures(16) for _ in range(3)]
    for step, few in zip((0, 90, 1000), moments, strict=True):
        sheets.save(tmp_path / "run" / "samples" / f"step_{step:07d}.png", sheets.tile(few, 8, gap=0))
    film = gif(sheets.animation(tmp_path / "run", tmp_path / "film.gif", columns=4))
    assert film.shape == (3, 38, 38, 3)
    for frame, few in zip(film, moments, strict=True):
        assert abs(frame.astype(int) - sheets.tile(few, 4)).mean() < 16  # 256 colours
    with pytest.raises(FileNotFoundError, match=r"no samples/step_….png in .*no run's folder"):
        sheets.animation(tmp_path, tmp_path / "film.gif")


def test_films_that_cannot_be_written(tmp_path, monkeypatch):
    frames = [pictures(4), pictures(4)]
    for name in ("film", "film.psd", "film.webm"):
        with pytest.raises(ValueError, match=r"film.* names no kind of film .*\.gif or \.mp4"):
            sheets.animation(frames, tmp_path / name)
    with pytest.raises(ValueError, match="frames of one size, got 8×8, 16×16"):
        sheets.animation([pictures(1), pictures(1, size=16)], tmp_path / "x.gif", columns=1)
    with pytest.raises(ValueError, match="columns must be at least 1, got 0"):
        sheets.animation(frames, tmp_path / "film.gif", columns=0)
    for milliseconds, last, bounds in ((15, 1, "20 to 655350"), (100_000, 8, "20 to 81918")):
        with pytest.raises(ValueError, match=f"milliseconds must be from {bounds}, got {milliseconds}"):
            sheets.animation(frames, tmp_path / "film.gif", milliseconds=milliseconds, last=last)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ImportError, match=r"pip install imageio-ffmpeg, or write a \.gif"):
        sheets.animation(frames, tmp_path / "film.mp4")
    for name in ("sheet", "sheet.psd", "sheet.eps"):
        with pytest.raises(ValueError, match="names no kind of picture"):
            sheets.save(tmp_path / name, sheets.tile(frames[0]))


def test_mp4_gets_every_frame_through_ffmpeg(tmp_path, monkeypatch):
    """A stand-in takes what ffmpeg is given: raw pixels of each frame, the size and the rate."""
    program = tmp_path / "ffmpeg"
    program.write_text('#!/bin/sh\nfor last; do :; done\necho "$@" > "$0.call"\ncat > "$last"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + os.environ["PATH"])
    frames = [pictures(2, size=7), pictures(2, size=7)]
    path = sheets.animation(frames, tmp_path / "new" / "film.mp4", columns=2, milliseconds=40, last=3)
    assert "-s 16x8 -r 25 -i -" in (tmp_path / "ffmpeg.call").read_text()
    film = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 8, 16, 3)
    np.testing.assert_array_equal(film[:, :7], [sheets.tile(f, 2) for f in (*frames, frames[1], frames[1])])
    assert (film[:, 7] == 255).all()  # an even height
    program.write_text("#!/bin/sh\ncat > /dev/null; echo no such codec >&2\nexit 1\n")
    with pytest.raises(OSError, match="no such codec"):
        sheets.animation(frames, tmp_path / "other.mp4")
    assert not (tmp_path / "other.mp4").exists()


@pytest.mark.parametrize("name", ["paper64", "imagenet32", "mnist28"])
def test_architecture_drawing_labels_every_layer(name):
    arch = models.ARCHITECTURES[name]
    figure = plots.draw_architecture(arch)
    texts = [t.get_text() for ax in figure.axes for t in ax.texts]
    for side, depth in zip(arch.sizes, (arch.channels, *arch.widths), strict=True):
        assert texts.count(f"{side}×{side}\n{depth}") >= 2  # once in each network


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8, 4), np.uint8)]
)
def test_wrong_pictures(bad):
    with pytest.raises(ValueError, match="expected uint8"):
        plots.image_grid(bad)


def test_bars_and_heat_maps():
    (drawn,) = plots.bars([0.1, 0.9], ["a", "b"], "share", level=0.5).axes
    assert len(drawn.patches) == 2 and list(drawn.lines[0].get_ydata()) == [0.5, 0.5]
    figure = plots.heat_maps([models.overlap(4), models.overlap(5)], ["4", "5"])
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), models.overlap(5).numpy())


def test_accuracies_are_sorted_dots_with_their_intervals():
    figure = plots.accuracies(["b", "a"], [0.8, 0.6], [(0.7, 0.9), None], [True, False])
    ax = figure.axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]
    np.testing.assert_allclose(ax.lines[1].get_xdata(), [70, 90])
    assert [t.get_text() for t in ax.texts] == ["60.0", "80.0"]
    assert [line.get_color() for line in ax.lines] == [plots.GREY, plots.BLUE, plots.BLUE], "theirs are grey"
    errors = plots.accuracies(["b", "a"], [0.8, 0.6], [None, None], [True, True], errors=True).axes[0]
    assert [t.get_text() for t in errors.get_yticklabels()] == ["b", "a"]  # from below: the fewest errors at the top


def test_confusion_writes_every_count():
    figure = plots.confusion([[3, 1], [0, 7]], ["cat", "dog"])
    assert [t.get_text() for t in figure.axes[0].texts] == ["3", "1", "7"]
    assert [t.get_color() for t in figure.axes[0].texts] == ["white", "#222", "white"]  # on dark, on pale, on dark
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), [[0.75, 0.25], [0, 1]])


def test_curves_have_room_for_zero():
    figure = plots.curves(
        {"D": ([0, 100, 1000], [0.5, 0.6, 0.7], [(0.4, 0.6)] * 3)}, "steps", "accuracy", {"goal": 0.8}
    )
    assert figure.axes[0].get_xscale() == "symlog" and [t.get_text() for t in figure.axes[0].texts] == ["goal"]
    assert plots.curves({"D": ([1, 10], [0, 1], [(0, 1)] * 2)}, "x", "y").axes[0].get_xscale() == "log"


def test_ticks_of_curves_leave_room_for_their_labels():
    axes = plots.curves({"a": ([1e3, 5e4, 1e5, 1e7], [1, 2, 3, 4])}, "x", "y").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1,000", "50,000", "", "10,000,000"]
    assert plots.curves({}, "x", "y").axes


def test_curves_run_logarithmically_upwards_where_ticks_are_named():
    axes = plots.curves({"a": ([1, 2], [0.5, 20])}, "x", "y", log=False, y_ticks=(0.5, 5, 20)).axes[0]
    assert axes.get_yscale() == "log" and axes.get_xscale() == "linear"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0.5", "5", "20"]
    assert plots.curves({"a": ([1, 2], [0.5, 20])}, "x", "y").axes[0].get_yscale() == "linear"


def test_curves_shade_what_has_intervals():
    axes = plots.curves({"D": ([1, 10], [0, 1], [(0, 1)] * 2), "G": ([1, 10], [2, 3])}, "x", "y").axes[0]
    assert [line.get_ydata().tolist() for line in axes.lines] == [[0, 1], [2, 3]] and len(axes.collections) == 1
    point = plots.curves({"D": ([1, 10], [0, 1]), "G": ([5], [2], [(1.5, 3)])}, "x", "y").axes[0].collections[0]
    np.testing.assert_allclose(point.get_segments()[0], [[5, 1.5], [5, 3]])


def test_labelled_pictures():
    figure = plots.labelled(pictures(3), ["one", "two", "three"], columns=2)
    assert [ax.get_title() for ax in figure.axes] == ["one", "two", "three", ""]
    with pytest.raises(ValueError, match="a label for each of the 3 pictures, got 2"):
        plots.labelled(pictures(3), ["one", "two"])
    grey = np.full((1, 4, 4, 1), 100, np.uint8)  # no contrast of its own: 100 stays 100
    assert (plots.labelled(grey, [""], columns=1).axes[0].images[0].get_array() == 100).all()


def test_heat_maps_start_at_0_or_below():
    axes = plots.heat_maps([np.ones((2, 2)), -np.ones((2, 2))], ["above", "below"]).axes
    assert [ax.images[0].get_clim() for ax in axes] == [(0, 1), (-1, -1)]
    axes[0].figure.canvas.draw()


def test_sums_are_drawn_with_the_result_in_the_middle():
    terms = [(sign, name, pictures(4)) for sign, name in (("", "a"), ("−", "b"), ("+", "c"))]
    nine = pictures(9)
    figure = plots.arithmetic(terms, nine, "what?")
    shown = [ax.images[0].get_array() for ax in figure.axes if ax.images]
    for (_, _, four), sheet in zip(terms, shown, strict=False):
        np.testing.assert_array_equal(sheet, sheets.tile(four, 1))
    np.testing.assert_array_equal(shown[-1][10:18, 10:18], nine[0])  # the sum, its neighbours around it
    np.testing.assert_array_equal(shown[-1][:8, :8], nine[1])
    with pytest.raises(ValueError, match="4 pictures a term"):
        plots.arithmetic([("", "a", pictures(3))], nine, "x")


def test_histograms_draw_the_shares():
    figure = plots.histograms([0, 1, 2], {"a": [0.25, 0.75], "b": [1, 0]}, "distance", line=1.5)
    drawn = [patch.get_data().values.tolist() for patch in figure.axes[0].patches]
    assert [0.25, 0.75] in drawn and [1, 0] in drawn


def test_dots_stand_at_their_values_in_the_order_given():
    rows = {"real": (1.0, 0.9, 1.1), "generated": (0.8, 0.7, 0.85)}
    figure = plots.dots({"pixels": rows, "features": {k: rows[k] for k in reversed(rows)}}, "distance", "generated")
    for axes, title in zip(figure.axes, ("pixels", "features"), strict=True):
        assert axes.get_title() == title
        dots = {
            float(line.get_ydata()[0]): float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "o"
        }
        assert dots == {1.0: 1.0, 0.0: 0.8}, "the first row is at the top of every panel"
        assert axes.lines[0].get_xdata()[0] == 0.8, "the dotted line"
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["generated", "real"]


def test_rates_show_each_network():
    rate = {"median": 10.0, "smallest": 8.0, "largest": 13.0}
    row = {"plain": rate, "ours": {k: 2 * v for k, v in rate.items()}, "ratio": {"median": 2.0}, "fastest_possible": 30}
    fig = plots.rates({"a": row, "b": row})
    assert [ax.get_title() for ax in fig.axes] == ["a\n2.00x", "b\n2.00x"]
    assert [bar.get_height() for bar in fig.axes[0].patches] == [10, 20]
    spreads = [line.get_segments()[0][:, 1].tolist() for line in fig.axes[0].collections]
    assert spreads == [[8, 13], [16, 26]]
    medians = {"plain": {"median": 10.0}, "ours": {"median": 20.0}}  # the printed lines alone
    (ax,) = plots.rates({"a": row | medians}).axes
    assert [bar.get_height() for bar in ax.patches] == [10, 20] and not ax.collections


def test_a_set_s_own_picture_can_be_saved(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (8, 8, 1), np.uint8)
    with Image.open(sheets.save(tmp_path / "grey.png", grey)) as picture:
        assert (np.asarray(picture) == grey[..., 0]).all()
    for bad in (grey.astype(float), grey[None], np.zeros((8, 8, 4), np.uint8), None):
        with pytest.raises(ValueError, match="expected one picture, uint8"):
            sheets.save(tmp_path / "bad.png", bad)
    assert [p.name for p in tmp_path.iterdir()] == ["grey.png"]
    with pytest.raises(ValueError, match="size must be from 1 to 8, got 0"):
        sheets.untile(np.zeros((8, 8, 3), np.uint8), 0)
