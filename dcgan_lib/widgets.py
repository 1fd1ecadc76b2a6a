"""Sliders for notebooks, on ipywidgets: move through latent space, play a walk, add and subtract, label boxes.

Each draws one picture at a time when something changes, so nothing blocks. Where there is no kernel (GitHub, the built
book) the notebook shows the still picture that was stored beside the widget.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path

import ipywidgets
import numpy as np
import torch
from filelock import FileLock
from PIL import Image, ImageDraw
from torch import Tensor

from . import checkpoints, checks, models, plots, sheets
from . import latent as latents

SIDE = 256  # pixels on the screen of the large picture
REACH = 4.0  # how far a slider goes along a unit direction, each way


def _png(images: Tensor, side: int, columns: int = 1) -> bytes:
    """A sheet of pictures (N, C, H, W) as PNG, each magnified to at least `side` by whole pixels, without smoothing."""
    sheet = sheets.tile(images, columns, gap=0)
    sheet = sheet.repeat(-(-side // images.shape[-1]), 0).repeat(-(-side // images.shape[-1]), 1)
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "PNG")
    return file.getvalue()


class _Widget(ipywidgets.VBox):
    """Stands for itself as a still picture where widgets do not run, with ipywidgets 7 (Colab's) and 8."""

    _ipython_display_ = None  # of version 7, which would show the widget without the picture

    def still(self) -> bytes:
        """What the widget shows now, as PNG."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **options) -> dict:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {
            "text/plain": type(self).__name__,
            "application/vnd.jupyter.widget-view+json": view,
            "image/png": base64.b64encode(self.still()).decode(),
        }


class _Drawing(_Widget):
    """Draws with one generator."""

    label = 0  # the class that is drawn, where the generator has classes

    def __init__(self, generator: models.Generator):
        self.generator = generator
        super().__init__()

    @property
    def labels(self) -> Tensor | None:
        """(1,), or None without classes."""
        return torch.tensor([self.label]) if self.generator.arch.classes else None

    def _pictures(self, z: Tensor) -> Tensor:
        if z.shape[-1] != (wide := self.generator.arch.latent_dim):
            raise ValueError(f"expected latents of width {wide} for this generator, got {tuple(z.shape)}")
        z = z.reshape(-1, wide)
        labels = None if self.labels is None else self.labels.expand(len(z))
        return models.sample(self.generator, z, labels=labels)

    def _image(self, z: Tensor, side: int = SIDE) -> bytes:
        return _png(self._pictures(z), side)


class LatentExplorer(_Drawing):
    """One picture and a slider for each direction: `latent` is where it stands now, (1, latent_dim).

    `directions` are vectors (latent_dim,) by name, as long as one unit of the slider; None takes the generator's
    principal axes. Buttons: another picture (a new seed), sliders to 0, save as PNG (into `folder`; no earlier one is
    replaced). A generator with classes adds a menu of them; `labels` (1,) is what it shows, None without classes.
    Raises ValueError for a seed that is not from 0 to 2**31 - 1.
    """

    def __init__(
        self, generator: models.Generator, directions: dict[str, Tensor] | None = None, seed: int = 0,
        folder: str | Path = ".",
    ):  # fmt: skip
        seed = checks.whole(seed, "seed", 0, 2**31 - 1)
        if directions is None:
            directions = {f"axis {i + 1}": axis for i, axis in enumerate(latents.principal_axes(generator))}
        self.directions, self.folder = directions, Path(folder).expanduser()
        self.picture = ipywidgets.Image(format="png", layout={"width": f"{SIDE}px", "height": f"{SIDE}px"})
        self.seed = ipywidgets.BoundedIntText(value=seed, min=0, max=2**31 - 1, description="seed")
        self.sliders = {
            name: ipywidgets.FloatSlider(
                0.0, min=-REACH, max=REACH, step=0.1, description=name, style={"description_width": "9em"}
            )
            for name in directions
        }
        classes = generator.arch.classes
        self.label = ipywidgets.Dropdown(options=list(range(classes)), description="class") if classes else None
        self.random = ipywidgets.Button(description="Another one", icon="random")
        self.reset = ipywidgets.Button(description="Sliders to 0", icon="undo")
        self.save = ipywidgets.Button(description="Save the picture", icon="download")
        self.message = ipywidgets.Label()
        self._quiet = False
        super().__init__(generator)
        buttons = ipywidgets.HBox([self.random, self.reset, self.save])
        menu = [self.label] if classes else []
        controls = ipywidgets.VBox([*menu, *self.sliders.values(), self.seed, buttons, self.message])
        self.children = [ipywidgets.HBox([self.picture, controls], layout={"flex_flow": "row wrap"})]
        for slider in (*menu, *self.sliders.values(), self.seed):
            slider.observe(self._draw, "value")
        self.random.on_click(lambda _: setattr(self.seed, "value", int(np.random.default_rng().integers(2**31 - 1))))
        self.reset.on_click(self._to_zero)
        self.save.on_click(self._save)
        self._draw()

    @property
    def latent(self) -> Tensor:
        z = models.sample_latent(1, self.generator.arch, self.seed.value)
        return z + sum(slider.value * self.directions[name] for name, slider in self.sliders.items())

    @property
    def labels(self) -> Tensor | None:
        return torch.tensor([self.label.value]) if self.label else None

    def still(self) -> bytes:
        return self.picture.value

    def _draw(self, _=None) -> None:
        if not self._quiet:
            self.picture.value = self._image(self.latent)

    def _to_zero(self, _) -> None:
        self._quiet = True  # one picture for all sliders
        for slider in self.sliders.values():
            slider.value = 0.0
        self._quiet = False
        self._draw()

    def _save(self, _) -> None:
        name, n = f"dcgan_{self.seed.value}", 1
        try:
            while (path := self.folder / f"{name}.png").exists():
                n += 1
                name = f"dcgan_{self.seed.value}_{n}"
            image = models.sample(self.generator, self.latent, labels=self.labels)
            checkpoints.write_bytes(path, _png(image, self.generator.arch.image_size))
            self.message.value = f"saved {path}"
        except OSError as error:
            self.message.value = f"not saved: {error}"


class WalkPlayer(_Drawing):
    """Plays a walk (n, latent_dim), picture by picture, drawn as they come; a slider goes to any of them.

    `label` is the class that a conditional generator draws.
    """

    def __init__(self, generator: models.Generator, walk: Tensor, milliseconds: int = 100, label: int = 0):
        if walk.ndim != 2 or len(walk) < 2:
            raise ValueError(f"expected a walk (2 or more, latent_dim), got {tuple(walk.shape)}")
        self.walk, self.label = walk, label
        self.picture = ipywidgets.Image(format="png", layout={"width": f"{SIDE}px", "height": f"{SIDE}px"})
        self.play = ipywidgets.Play(max=len(walk) - 1, interval=milliseconds)
        self.play.repeat = True  # version 7 has no such setting, and plays once
        self.position = ipywidgets.IntSlider(max=len(walk) - 1, description="step")
        super().__init__(generator)
        ipywidgets.jslink((self.play, "value"), (self.position, "value"))
        self.children = [self.picture, ipywidgets.HBox([self.play, self.position])]
        self.position.observe(self._draw, "value")
        self._draw()

    def still(self) -> bytes:
        chosen = self.walk[np.linspace(0, len(self.walk) - 1, min(9, len(self.walk))).round().astype(int)]
        return _png(self._pictures(chosen), 64, columns=len(chosen))

    def _draw(self, _=None) -> None:
        self.picture.value = self._image(self.walk[self.position.value])


class ArithmeticTable(_Drawing):
    """A - B + C: choose a slot, then a picture; `result` is the latent (latent_dim,).

    `choices` (n, latent_dim) are what there is to choose from, with `names`; None takes 12 samples of the prior.
    `label` is the class that a conditional generator draws.
    """

    SLOTS = ("A", "B", "C")

    def __init__(
        self,
        generator: models.Generator,
        choices: Tensor | None = None,
        names: list[str] | None = None,
        seed: int = 0,
        label: int = 0,
    ):
        self.label = label
        self.choices = models.sample_latent(12, generator.arch, seed) if choices is None else choices
        names = [str(i + 1) for i in range(len(self.choices))] if names is None else names
        if len(names) != len(self.choices) or len(names) < 3:
            raise ValueError(f"expected 3 or more choices and a name for each, got {len(self.choices)}, {len(names)}")
        self.slot = ipywidgets.ToggleButtons(options=self.SLOTS, description="fill")
        small = {"width": "64px", "height": "64px"}
        self.terms = {slot: ipywidgets.Image(format="png", layout=small) for slot in self.SLOTS}
        self.chosen = dict(zip(self.SLOTS, range(3), strict=True))  # slot → index of its choice
        self.picture = ipywidgets.Image(format="png", layout={"width": f"{SIDE}px", "height": f"{SIDE}px"})
        self.buttons = [ipywidgets.Button(description=name, layout={"width": "68px"}) for name in names]
        super().__init__(generator)
        self._thumbs = [self._image(z, 64) for z in self.choices]
        shelf = [
            ipywidgets.VBox([ipywidgets.Image(value=png, format="png", layout=small), button])
            for png, button in zip(self._thumbs, self.buttons, strict=True)
        ]
        signs = [ipywidgets.Label(text) for text in ("A", "− B", "+ C", "=")]
        row = [w for pair in zip(signs, (*self.terms.values(), self.picture), strict=True) for w in pair]
        self.children = [ipywidgets.HBox(row), self.slot, ipywidgets.HBox(shelf, layout={"flex_flow": "row wrap"})]
        for i, button in enumerate(self.buttons):
            button.on_click(lambda _, i=i: self._choose(i))
        self._draw()

    @property
    def result(self) -> Tensor:
        a, b, c = (self.choices[self.chosen[slot]] for slot in self.SLOTS)
        return a - b + c

    def still(self) -> bytes:
        shown = [self.choices[self.chosen[slot]] for slot in self.SLOTS]
        pictures = self._pictures(torch.stack([*shown, self.result]))
        file = io.BytesIO()
        figure = plots.labelled(pictures, ["A", "B", "C", "A − B + C"], columns=4, width=5)
        figure.savefig(file, format="png", bbox_inches="tight")
        return file.getvalue()

    def _choose(self, index: int) -> None:
        self.chosen[self.slot.value] = index
        self.slot.index = (self.slot.index + 1) % len(self.SLOTS)  # the next click fills the next slot
        self._draw()

    def _draw(self) -> None:
        for slot, index in self.chosen.items():
            self.terms[slot].value = self._thumbs[index]
        self.picture.value = self._image(self.result)


class BoxLabeller(_Widget):
    """Draws boxes around an object in pictures, one picture after the other, and saves them to a JSON file each time.

    `images` are (N, C, H, W) in [-1, 1] or uint8 (N, H, W, C). The file, which may be there already, holds
    {"label": …, "boxes": {"0": [[top, bottom, left, right], …], …}} in pixels, ends not counted; a picture that was
    looked at and does not show the object has an empty list. `inspection.box_masks` reads it. `about` is what the file
    says besides, such as who labelled and which pictures, {"by": …}; an entry that is there already must be the same.

    Several may label one file at once: for each change the file is read again and written under a lock. A save that
    fails is said until one succeeds; what it should have written goes with the next one.
    Boxes in the file of pictures that are not among `images` stay there, and are not counted.
    Raises ValueError for a file that holds something else, and for no pictures.
    """

    def __init__(self, images: Tensor | np.ndarray, path: str | Path, label: str, about: dict | None = None):
        self.images, self.path = sheets.pixels(images), Path(path).expanduser()
        if not len(self.images):
            raise ValueError("expected at least one picture to label, got none")
        self.label, self.about = label, dict(about or {})
        self._text = json.dumps({"label": label, **self.about, "boxes": {}})  # of the file, as last seen
        self.boxes = self._read()
        self.unsaved: list[tuple[str, Callable[[list], object]]] = []  # picture, what to do to its boxes in the file
        self._problem = ""
        height, width = self.images.shape[1:3]
        self.picture = ipywidgets.Image(format="png", layout={"width": f"{1.5 * SIDE:.0f}px"})
        self.at = ipywidgets.BoundedIntText(min=0, max=len(self.images) - 1, description="picture")
        self.rows = ipywidgets.IntRangeSlider(
            value=(height // 4, 3 * height // 4), min=0, max=height, description="rows", orientation="vertical"
        )
        self.columns = ipywidgets.IntRangeSlider(
            value=(width // 4, 3 * width // 4), min=0, max=width, description="columns"
        )
        self.add = ipywidgets.Button(description="Add this box", icon="plus")
        self.next = ipywidgets.Button(description="Done, next", icon="arrow-right")
        self.undo = ipywidgets.Button(description="Remove the last", icon="undo")
        self.message = ipywidgets.Label()
        super().__init__()
        row = ipywidgets.HBox([self.picture, self.rows])
        buttons = ipywidgets.HBox([self.add, self.undo, self.next])
        self.children = [row, self.columns, self.at, buttons, self.message]
        for control in (self.at, self.rows, self.columns):
            control.observe(self._draw, "value")
        self.add.on_click(self._add)
        self.undo.on_click(self._undo)
        self.next.on_click(self._next)
        unseen = [i for i in range(len(self.images)) if str(i) not in self.boxes]
        self.at.value = unseen[0] if unseen else len(self.images) - 1
        self._draw()

    def still(self) -> bytes:
        return self.picture.value

    def _box(self) -> list[int]:
        (low, high), (left, right) = self.rows.value, self.columns.value
        height = self.images.shape[1]
        return [height - high, height - low, left, right]  # a vertical slider counts from below

    def _read(self) -> dict[str, list]:
        """Boxes by picture as the file has them now; as it had them last where it is gone."""
        try:
            text = self.path.read_text() if self.path.exists() else self._text
            there = json.loads(text)
            label = there["label"]
            boxes = {str(int(k)): [[int(v) for v in box] for box in found] for k, found in there["boxes"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{self.path} is no file of boxes ({error!r}): choose another file") from error
        if label != self.label:
            raise ValueError(f"{self.path} holds boxes of {label!r}, expected {self.label!r}: choose another file")
        said = {k: v for k, v in there.items() if k not in ("label", "boxes")}
        for key in self.about.keys() & said.keys():
            if said[key] != self.about[key]:
                was, now = checks.shortened(said[key]), checks.shortened(self.about[key])
                raise ValueError(f"{self.path} says {key!r}: {was}, expected {now}: choose another file")
        self.about |= said
        self._text = text
        return boxes

    def _add(self, _) -> None:
        top, bottom, left, right = box = self._box()
        if top == bottom or left == right:  # both handles of a slider may meet
            self.message.value = "This box is empty: move the sliders apart."
            return
        self._change(lambda boxes: boxes.append(box))

    def _undo(self, _) -> None:
        if boxes := self.boxes.get(str(self.at.value)):
            last = boxes[-1]
            self._change(lambda boxes: last in boxes and boxes.remove(last))

    def _next(self, _) -> None:
        self._change(lambda boxes: None)  # looked at
        self.at.value = min(self.at.value + 1, len(self.images) - 1)

    def _change(self, change: Callable[[list], object]) -> None:
        """Do it to the boxes of this picture, in the file and here."""
        self.unsaved.append((str(self.at.value), change))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=5):
                boxes = self._read()
                for picture, todo in self.unsaved:
                    todo(boxes.setdefault(picture, []))
                boxes = {k: boxes[k] for k in sorted(boxes, key=int)}
                text = json.dumps({"label": self.label, **self.about, "boxes": boxes})
                checkpoints.write_bytes(self.path, text.encode())
            self.boxes, self._text, self.unsaved, self._problem = boxes, text, [], ""
        except (OSError, ValueError) as error:  # a lock that is never free is an OSError, too
            change(self.boxes.setdefault(str(self.at.value), []))
            self._problem = f"NOT SAVED, {len(self.unsaved)} changes wait for the next save: {error}"
        self._draw()

    def _draw(self, _=None) -> None:
        i, scale = self.at.value, 6
        picture = Image.fromarray(sheets.tile(self.images[i : i + 1], 1))
        picture = picture.resize((scale * picture.width, scale * picture.height), Image.Resampling.NEAREST)
        pen = ImageDraw.Draw(picture)
        for box, colour in [*((b, plots.BLUE) for b in self.boxes.get(str(i), [])), (self._box(), plots.ORANGE)]:
            top, bottom, left, right = (scale * v for v in box)
            if top < bottom and left < right:
                pen.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=2)
        file = io.BytesIO()
        picture.save(file, "PNG")
        self.picture.value = file.getvalue()
        found = [self.boxes[str(i)] for i in range(len(self.images)) if str(i) in self.boxes]
        self.message.value = self._problem or (
            f"{self.label}: {len(found)} of {len(self.images)} pictures looked at, {sum(map(bool, found))} show it, "
            f"{sum(map(len, found))} boxes"
        )
