"""C7 as the paper did it: boxes around an object, maps of G dropped, the outcome judged blind. For any object of any G.

A `Forgetting` says which object, which generator, which of its layers and how many samples; `analyses` has one for
trunks and one for windows, and each of these takes the same arguments:

    python -m experiments NAME                               counts what the labels say; writes results/NAME.json
    python -m experiments NAME --sheets FOLDER               draws the round of labelling that is next
    python -m experiments NAME --enter FILE.csv --by WHO     takes the answers to it
    python -m experiments NAME --unrecognised WHY --by WHO   the object cannot be recognised, and that is the record

Rounds of labelling, a file each in weights/labels (or in the folder of --labels), written by `widgets.BoxLabeller`
(`Labelling(…).tool(round, by)` in a notebook) or from sheets by --enter:

1. boxes: boxes around the object in samples (the paper: 52 boxes in 150 samples).
2. there: which of other samples show the object; a box over the whole picture means yes.
3. blind, or blind_1 and blind_2 where it is judged twice: the first samples that show it, each drawn from the same z in
   the four WAYS, all shuffled, for each pass anew. Whoever labels is not told which picture is which, but may guess: a
   whole way of dropping shifts colours alike. That an eye agrees with itself says that it is steady, not that it is
   right.

An object may be asked again, in new samples: then the boxes, and with them the maps that are dropped, are those of the
first time, and round 1 is left out.

A file says who labelled it and, by a digest, which pictures: labels of another generator, or a blind round drawn by
boxes that were changed since, are refused. The rules are `verdicts.c7_judged` and `verdicts.c7_judged_twice`. The
price: how far the layout moves (averages over 8x8 pixels), in units of the distance between two different samples.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from sklearn.metrics import cohen_kappa_score
from tqdm import tqdm

from dcgan_lib import checkpoints, data, device, features, inspection, models, results, sheets
from dcgan_lib.checks import choose

from . import verdicts

WAYS = ("all maps", "positive weight", "largest activations", "random")
CHOSEN, LOUDEST, RANDOM = 1, 2, 3  # rows of WAYS
COLUMNS, MAGNIFY, MARGIN = 5, 3, 26  # of a sheet: pictures a row and a column, their pixels, room for rulers and number
DRAWS = 1_000  # of the bootstrap of kappa
BEFORE_LAYERS = {"trunks": 32, "windows": 8}  # the layers' sides of labels whose digest does not know the layer


@dataclass(frozen=True)
class Forgetting:
    """One object to be forgotten: `name` is the analysis and its results file, `label` the object in its files' names.

    `generator` is the study that ships it; `side` that of the layer whose maps are dropped. `boxed` and `candidates`
    are the samples of the first two rounds; of the candidates that show the object the first `most` are judged (None:
    all), in one or two `passes`, and fewer than `least` are not worth judging. `level` is that of the verdict's tests.
    `again`: the object was asked before, by this one, which has the boxes.
    """

    name: str
    label: str
    generator: str
    side: int
    seed: int
    candidates: int
    boxed: int = 150
    least: int = 1
    most: int | None = None
    passes: int = 1
    level: float = 0.05
    again: Forgetting | None = None

    @property
    def stem(self) -> str:
        """What the names of its files begin with."""
        return f"{self.label}_again" if self.again else self.label

    @property
    def blind(self) -> tuple[str, ...]:
        """The blind rounds."""
        return ("blind",) if self.passes == 1 else tuple(f"blind_{i + 1}" for i in range(self.passes))

    @property
    def rounds(self) -> tuple[str, ...]:
        return ("there", *self.blind) if self.again else ("boxes", "there", *self.blind)


class Labelling:
    """The pictures of an object's rounds of labelling, and the labels in `folder` (weights/labels where it is None).

    Raises NotAvailable, naming the command, where the generator does not ship.
    """

    def __init__(self, what: Forgetting, folder: str | Path | None = None):
        self.what, self.folder = what, Path(folder or checkpoints.HERE / "labels")
        weights = checkpoints.pretrained().get(what.generator)
        if weights is None:
            raise data.NotAvailable(
                f"{what.name} needs the generator of {what.generator}, which is not there: run "
                f"`python -m experiments {what.generator}` first"
            )
        self.generator = checkpoints.load(weights)[0]
        self.size = self.generator.arch.image_size
        self.layer = next(row for row in inspection.generator_layers(self.generator.arch) if row.side == what.side)
        self.first = Labelling(what.again, folder) if what.again else self  # who has the boxes

    # ---- files -----------------------------------------------------------------------------------------------------

    def file(self, stage: str) -> Path:
        return self.folder / f"{self.what.stem}_{choose(stage, (*self.what.rounds, 'unrecognised'), 'round')}.json"

    def pictured(self, stage: str, layer: bool = True) -> str:
        """A digest of all that a round's pictures depend on: generator, seed and, for a blind one, layer and labels."""
        depends = [checkpoints.digest(self.generator), self.what.seed, stage, self.asked(stage)]
        if stage in self.what.blind:
            earlier = self.first.labels("boxes", self.size)[1], self.labels("there", self.size)[1]
            depends += [np.packbits(masks).tobytes().hex() for masks in earlier]
            depends += [self.what.side] if layer else []
        return hashlib.sha256(json.dumps(depends).encode()).hexdigest()[:16]

    def about(self, stage: str, by: str) -> dict:
        """What a round's file says besides its labels."""
        return {"by": by, "pictures": self.pictured(stage)}

    def asked(self, stage: str) -> int:
        """How many pictures a round has. Raises NotAvailable for a blind one whose earlier rounds have no labels."""
        if stage in self.what.blind:
            return len(WAYS) * len(self.tested)
        return self.what.boxed if stage == "boxes" else self.what.candidates

    def labels(self, stage: str, side: int) -> tuple[str, np.ndarray]:
        """Who labelled a round, and masks (N, side, side) of all its pictures.

        Raises NotAvailable where there are none yet, or not all, and says what to do; ValueError for another object's
        labels, for those of other pictures and where nobody is named.
        """
        path, n = self.file(stage), self.asked(stage)
        how = f"`python -m experiments {self.what.name} --sheets FOLDER` draws what is next"
        if not path.exists():
            raise data.NotAvailable(f"round {stage!r} of {self.what.label} has no labels, {path} is not there: {how}")
        indices, masks = inspection.box_masks(path, side, self.size)  # or says that it is no such file
        said = json.loads(path.read_text())
        if said.get("label") != self.what.label or not said.get("by"):
            raise ValueError(f"{path}: expected labels of {self.what.label!r} and, as 'by', who labelled")
        old = self.pictured(stage, layer=False) if BEFORE_LAYERS.get(self.what.label) == self.what.side else None
        if said.get("pictures") not in (self.pictured(stage), old):
            raise ValueError(
                f"{path} has labels of other pictures than {self.what.name} draws: the generator, the layer, or the "
                "labels of an earlier round, changed since; delete it and label anew"
            )
        if lacking := sorted(set(range(n)) - set(indices.tolist())):
            raise data.NotAvailable(f"{path} lacks {len(lacking)} of {n} pictures, the first is {lacking[0]}: {how}")
        if len(indices) > n:
            raise ValueError(f"{path} has labels of {len(indices)} pictures, the round has {n}: label anew")
        return said["by"], masks[np.argsort(indices)]

    def next(self) -> str | None:
        """The first round that is not labelled to its end; None where all are."""
        for stage in self.what.rounds:
            try:
                self.labels(stage, 1)
            except data.NotAvailable:
                return stage
        return None

    # ---- pictures --------------------------------------------------------------------------------------------------

    def latents(self, stage: str) -> torch.Tensor:
        """z of "boxes" or of "there"; of another seed where the object is asked again."""
        what, arch = self.what, self.generator.arch
        return models.sample_latent(
            *((what.boxed, arch, what.seed) if stage == "boxes" else (what.candidates, arch, what.seed + 1))
        )

    @cached_property
    def tested(self) -> torch.Tensor:
        """z of the samples that are judged. Raises NotAvailable where too few show the object."""
        shown = np.flatnonzero(self.labels("there", 1)[1].any((1, 2)))
        if len(shown) < self.what.least:
            raise data.NotAvailable(
                f"{len(shown)} of {self.what.candidates} samples show {self.what.label}, at least {self.what.least} "
                "are needed: give it more `candidates`, or say that they cannot be recognised "
                f"(`python -m experiments {self.what.name} --unrecognised WHY --by WHO`)"
            )
        return self.latents("there")[torch.from_numpy(shown[: self.what.most])]

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """The weights of all maps from the boxes, and the order of maps by mean activation, largest first."""
        maps = inspection.generator_maps(self.generator, self.first.latents("boxes"), layer=self.layer.index)
        _, masks = self.first.labels("boxes", self.layer.side)
        return inspection.map_weights(maps, masks), np.argsort(-maps.mean((0, 2, 3)).numpy())

    @cached_property
    def ways(self) -> tuple[list[torch.Tensor], int]:
        """The pictures (n, C, H, W) of the tested samples in each of WAYS, and the number of maps dropped."""
        z, layer = self.tested, self.layer.index
        weights, loudest = self.weights()
        positive, rng = np.flatnonzero(weights > 0), np.random.default_rng(self.what.seed)
        n = len(positive)

        def without(maps, z: torch.Tensor) -> torch.Tensor:
            return models.sample(inspection.without_maps(self.generator, maps, layer), z)

        random = [
            without(rng.choice(len(weights), n, replace=False), one[None]) for one in tqdm(z, "random maps", delay=2)
        ]
        every = models.sample(self.generator, z)
        return [every, without(positive, z), without(loudest[:n], z), torch.cat(random)], n

    def order(self, stage: str) -> np.ndarray:
        """Picture i of a blind round is way `order[i] // n` of sample `order[i] % n`. Each pass has its own order."""
        seed = self.what.seed + 2 + self.what.blind.index(stage)
        return np.random.default_rng(seed).permutation(len(WAYS) * len(self.tested))

    def pictures(self, stage: str) -> torch.Tensor:
        """What a round of labelling shows: (N, C, H, W) in [-1, 1]."""
        if choose(stage, self.what.rounds, "round") in self.what.blind:
            return torch.cat(self.ways[0])[torch.from_numpy(self.order(stage))]
        return models.sample(self.generator, self.latents(stage))

    def gone(self, stage: str) -> np.ndarray:
        """Whether the object is gone, by a blind round: (ways, samples)."""
        there = np.empty(self.asked(stage), bool)
        there[self.order(stage)] = self.labels(stage, 1)[1].any((1, 2))
        return ~there.reshape(len(WAYS), -1)

    # ---- labelling -------------------------------------------------------------------------------------------------

    def tool(self, stage: str, by: str):
        """The box tool on a round's pictures; it goes on where it was left."""
        from dcgan_lib import widgets

        return widgets.BoxLabeller(self.pictures(stage), self.file(stage), self.what.label, self.about(stage, by))

    def draw(self, stage: str, folder: str | Path) -> list[Path]:
        """Contact sheets of a round: numbered pictures with rulers, in the round's order, and nothing else of them."""
        pictures, each = sheets.pixels(self.pictures(stage)), COLUMNS**2
        files = []
        for start in tqdm(range(0, len(pictures), each), "sheets", delay=2):
            path = Path(folder) / f"{self.what.stem}_{stage}_{start:04}.png"
            files.append(sheets.save(path, contact_sheet(pictures[start : start + each], start)))
        return files

    def enter(self, stage: str, answers: str | Path, by: str) -> Path:
        """Write a round's labels from a table (`read_answers`) of all its pictures.

        Raises ValueError where the box tool has begun the round: its labels are not written over.
        """
        if self.file(stage).exists():
            raise ValueError(f"{self.file(stage)} has labels already: go on with the box tool, or delete it first")
        boxes = read_answers(answers, self.asked(stage), self.size)
        text = json.dumps({"label": self.what.label, **self.about(stage, by), "boxes": boxes})
        return checkpoints.write_bytes(self.file(stage), text.encode())

    def unrecognised(self) -> dict | None:
        """What the labeller said who could not recognise the object in the samples of "boxes"; it outweighs labels."""
        path = self.file("unrecognised")
        if not path.exists():
            return None
        said = json.loads(path.read_text())
        if said["pictures"] != self.pictured("boxes"):
            raise ValueError(f"{path} was said of another generator's samples: delete it, and look at these")
        return said


def contact_sheet(pictures: np.ndarray, first: int) -> np.ndarray:
    """Pictures uint8 (n, H, W, C), enlarged, under their numbers; rulers count the pictures' own pixels."""
    side, font = pictures.shape[1], ImageFont.load_default(16)
    large = MAGNIFY * side
    cell = large + MARGIN
    sheet = Image.new(
        "RGB", (COLUMNS * cell + MARGIN, -(-len(pictures) // COLUMNS) * (cell + MARGIN) + MARGIN), "white"
    )
    pen = ImageDraw.Draw(sheet)
    for i, picture in enumerate(pictures):
        left, top = MARGIN + cell * (i % COLUMNS), 2 * MARGIN + (cell + MARGIN) * (i // COLUMNS)
        picture = Image.fromarray(picture.squeeze()).convert("RGB").resize((large, large), Image.Resampling.BICUBIC)
        sheet.paste(picture, (left, top))
        pen.text((left, top - 2 * MARGIN + 4), f"picture {first + i}", "black", font)
        for at in range(0, side + 1, side // 4):
            pen.text((left + MAGNIFY * at, top - 6), str(at), "grey", anchor="mb")
            pen.text((left - 6, top + MAGNIFY * at), str(at), "grey", anchor="rm")
            pen.line((left + MAGNIFY * at, top - 5, left + MAGNIFY * at, top - 1), "grey")
            pen.line((left - 5, top + MAGNIFY * at, left - 1, top + MAGNIFY * at), "grey")
    return np.asarray(sheet)


def read_answers(path: str | Path, n: int, side: int) -> dict[str, list]:
    """Boxes by picture, as `widgets.BoxLabeller` keeps them, from a table of all n pictures of a round.

    Columns are picture,top,bottom,left,right in pixels, ends not counted, a line a box and one with empty cells for a
    picture without; or picture,shows with yes and no. Raises ValueError that names the line, or the pictures that lack.
    """
    boxes: dict[str, list] = {}
    with open(path, newline="") as file:
        table = csv.DictReader(file, skipinitialspace=True)
        kinds = (["picture", "shows"], ["picture", "top", "bottom", "left", "right"])
        if table.fieldnames not in kinds:
            raise ValueError(f"{path}: expected columns {' or '.join(map(','.join, kinds))}, got {table.fieldnames}")
        for row in table:
            try:
                picture, *cells = (row[name].strip() for name in table.fieldnames)
                if not 0 <= int(picture) < n:
                    raise ValueError(f"pictures are numbered from 0 to {n - 1}")
                if None in row:
                    raise ValueError("more cells than columns")
                key, says_all = str(int(picture)), len(cells) == 1 or not any(cells)
                if key in boxes and (says_all or not boxes[key]):
                    raise ValueError(f"picture {key} stands there before, and only boxes may be several")
                found = boxes.setdefault(key, [])
                if len(cells) == 1:
                    found += {"yes": [[0, side, 0, side]], "no": []}[cells[0].lower()]
                elif any(cells):
                    top, bottom, left, right = map(int, cells)
                    if not (0 <= top < bottom <= side and 0 <= left < right <= side):
                        raise ValueError(f"a box lies in {side} pixels, top above bottom and left of right")
                    found.append([top, bottom, left, right])
            except (ValueError, KeyError, AttributeError) as error:
                raise ValueError(f"{path}, line {table.line_num}: {error or row}") from error
    lacking = [i for i in range(n) if str(i) not in boxes]
    if lacking:
        more = ", …" if len(lacking) > 10 else ""
        raise ValueError(
            f"{path} says nothing of {len(lacking)} of {n} pictures: {', '.join(map(str, lacking[:10]))}{more}"
        )
    return {str(i): boxes[str(i)] for i in range(n)}


# ---- counting --------------------------------------------------------------------------------------------------------


def pairs(a: np.ndarray, b: np.ndarray) -> list[int]:
    """Of two (n,) of truth values: how often only the first is true, and how often only the second."""
    return [int((a & ~b).sum()), int((b & ~a).sum())]


def counted(gone: np.ndarray) -> dict:
    """One pass (ways, samples): from how many samples the object is gone, and on how many two ways differ."""
    return {
        "ways": {
            way: {"gone": float(g.mean()), "interval": features.proportion_interval(int(g.sum()), len(g))}
            for way, g in zip(WAYS, gone, strict=True)
        },
        # Samples of which only the chosen maps remove the object, and of which only the others do.
        "discordant": discordant(gone),
        "shown": shown(gone),
    }


def discordant(gone: np.ndarray) -> dict[str, list[int]]:
    return {WAYS[row]: pairs(gone[CHOSEN], gone[row]) for row in (RANDOM, LOUDEST)}


def shown(gone: np.ndarray) -> dict:
    """What the verdict reads of a pass: the samples alone that show the object with all maps, by this very pass."""
    gone = gone[:, ~gone[0]]
    return {
        "samples": gone.shape[1],
        "gone": {way: int(g.sum()) for way, g in zip(WAYS, gone, strict=True)},
        "discordant": discordant(gone),
    }


def kappa(one: np.ndarray, other: np.ndarray) -> float | None:
    """Cohen's kappa of two passes' labels (N,); None where both say the same of every picture and it is not defined."""
    if len(np.unique([one, other])) < 2:
        return None
    return float(cohen_kappa_score(one.ravel(), other.ravel()))


def agreement(one: np.ndarray, other: np.ndarray, seed: int) -> dict:
    """How far two passes (ways, samples) agree; the interval draws samples, with all their pictures."""
    rng, n = np.random.default_rng(seed), one.shape[1]
    found = []
    for _ in tqdm(range(DRAWS), "agreement", delay=2):
        drawn = rng.integers(0, n, n)
        found.append(kappa(one[:, drawn], other[:, drawn]))
    found = [value for value in found if value is not None]
    return {
        "pictures": one.size,
        "same": float((one == other).mean()),
        "kappa": kappa(one, other),
        "interval": [float(q) for q in np.quantile(found, (0.025, 0.975))] if found else None,
    }


def counted_twice(passes: Sequence[np.ndarray], seed: int) -> dict:
    """Two passes (ways, samples) each: what each says, their means with a bootstrap over samples, and their agreement.

    A sample's score is the mean of the passes: 0.5 where the object is gone by one of them.
    """
    scores = np.mean(passes, 0)  # (ways, samples)
    return {
        "ways": {
            way: {"gone": float(s.mean()), "interval": list(features.interval(s, seed=seed))}
            for way, s in zip(WAYS, scores, strict=True)
        },
        "differences": {
            WAYS[row]: list(features.paired_difference(scores[CHOSEN], scores[row], seed=seed))
            for row in (RANDOM, LOUDEST)
        },
        "differences_shown": differences_shown(passes, seed),
        "passes": [counted(gone) for gone in passes],
        "agreement": agreement(*passes, seed),
    }


def differences_shown(passes: Sequence[np.ndarray], seed: int) -> dict[str, list[float]] | None:
    """As "differences", of what a pass says of the samples that show the object with all maps, by this very pass.

    Samples are drawn with what both passes say of them. None where neither pass sees the object with all maps.
    """
    each = [gone[:, ~gone[0]] for gone in passes]
    samples = np.concatenate([np.flatnonzero(~gone[0]) for gone in passes])
    gone = np.concatenate(each, axis=1)  # (ways, samples of both passes)
    if not len(samples):
        return None
    return {
        WAYS[row]: list(features.paired_difference(gone[CHOSEN], gone[row], samples, seed=seed))
        for row in (RANDOM, LOUDEST)
    }


def measure(labelling: Labelling) -> dict:
    """All that the labels say. Raises as `Labelling.labels` does."""
    what = labelling.what
    if said := labelling.unrecognised():
        about = {"recognised": False, "labelled": what.boxed, "image_size": labelling.size}
        return about | {"by": said["by"], "why": said["why"]}
    by = {stage: labelling.labels(stage, 1)[0] for stage in what.rounds}  # or what is missing, the first round first
    passes = [labelling.gone(stage) for stage in what.blind]
    rows, dropped = labelling.ways
    layout = [F.avg_pool2d(r, 8).flatten(1) for r in rows]  # (n, 3 * 8 * 8)
    unit = float((layout[0] - layout[0].roll(1, 0)).abs().mean())
    measured = {
        "labelled": labelling.first.what.boxed,
        "boxed": int(labelling.first.labels("boxes", labelling.size)[1].any((1, 2)).sum()),
        "tested": len(labelling.tested),
        "maps": labelling.layer.width,
        "dropped": dropped,
    }
    if what.passes == 1:
        measured |= counted(passes[0])
    else:
        measured |= {"side": what.side, "by": by, "level": what.level} | counted_twice(passes, what.seed)
    for way, r in zip(WAYS, layout, strict=True):
        measured["ways"][way]["layout_moves"] = float((r - layout[0]).abs().mean()) / unit
    return measured


def verdict(measured: dict) -> verdicts.Verdict:
    """By the rules that `verdicts` fixed; of what a results file holds."""
    if not measured.get("recognised", True):
        words = f"it cannot be recognised in the samples, says {measured['by']}: {measured['why']}"
        return verdicts.Verdict(verdicts.Outcome.UNDECIDED, words)

    def counts(found: dict) -> list:
        these = found["shown"]
        return [[these["gone"][WAYS[CHOSEN]], these["samples"]], *these["discordant"][WAYS[RANDOM]]]

    if "passes" not in measured:
        return verdicts.c7_judged(*counts(measured))
    difference = measured["differences_shown"]
    return verdicts.c7_judged_twice(
        [counts(found) for found in measured["passes"]],
        difference and difference[WAYS[RANDOM]][1:],
        measured["agreement"]["kappa"],
        measured["tested"],
        measured["level"],
    )


def claims(labelling: Labelling, measured: dict) -> dict:
    """For the claims table: who labelled stands beside the number."""
    what = labelling.what
    subject = f"{what.label.capitalize()} in {what.generator}"
    if not measured.get("recognised", True):
        ours = f"{subject} cannot be recognised at {measured['image_size']} px, says {measured['by']}: "
        return {"C7": {"ours": f"{ours}{measured['why']}.", "verdict": str(verdict(measured))}}
    who = list(dict.fromkeys(labelling.labels(stage, 1)[0] for stage in what.blind))
    by = ("twice by " if len(who) < what.passes else "by ") + " and by ".join(who)
    every, found, loud, chance = (measured["ways"][way] for way in WAYS)
    last = labelling.layer == inspection.generator_layers(labelling.generator.arch)[-1]
    where = "next to the picture" if last else f"of {what.side}x{what.side} positions"
    ours = (
        f"{subject}, judged blind {by}: gone from {found['gone']:.0%} of {measured['tested']} samples "
        f"({found['interval'][0]:.0%} to {found['interval'][1]:.0%}) without the {measured['dropped']} maps of "
        f"positive weight, of {measured['maps']} {where}; "
        f"{chance['gone']:.0%} without as many random ones, {loud['gone']:.0%} without the most active, "
        f"{every['gone']:.0%} with all."
    )
    if agreed := measured.get("agreement"):
        value = "not defined" if agreed["kappa"] is None else f"{agreed['kappa']:.2f}"
        ours += f" The passes say the same of {agreed['same']:.0%} of {agreed['pictures']} pictures (kappa {value})."
    return {"C7": {"ours": ours, "verdict": str(verdict(measured))}}


def record(labelling: Labelling) -> Path:
    """Count, judge and write the results file."""
    what, measured = labelling.what, measure(labelling)
    rounds = what.rounds if measured.get("recognised", True) else ("unrecognised",)
    seen = data.to_uint8(labelling.pictures(what.rounds[0]))  # (N, H, W, C)
    fingerprint = hashlib.sha256(seen.tobytes()).hexdigest()
    return results.record(
        what.name,
        measured,
        command=f"python -m experiments {what.name}",
        settings={
            "generator": f"results/training_{what.generator}.json",
            "labels": ", ".join(f"{what.stem}_{stage}" for stage in rounds),
        },
        seed=what.seed,
        images=data.ImageSet(f"samples of {what.generator}", what.rounds[0], seen, fingerprint),
        device=device.device_name(device.pick_device("cpu")),
        claims=claims(labelling, measured),
    )


def main(what: Forgetting, arguments: Sequence[str] = ()) -> dict[str, str]:
    """The command of an analysis; see above. Returns what waits for labels."""
    parser = argparse.ArgumentParser(f"python -m experiments {what.name}", description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, help="the folder of the labels; those that ship where it is not given")
    does = parser.add_mutually_exclusive_group()
    does.add_argument("--sheets", type=Path, metavar="FOLDER", help="draw the round that is next into this folder")
    does.add_argument("--enter", type=Path, metavar="FILE", help="a table of the answers to the round that is next")
    does.add_argument("--unrecognised", metavar="WHY", help="record that the object cannot be recognised")
    parser.add_argument("--by", help="who labelled: a person, or which model, and from what")
    asked = parser.parse_args(list(arguments))
    if (asked.enter or asked.unrecognised) and not asked.by:
        parser.error("--by says who labelled")
    if asked.enter and not asked.enter.is_file():
        parser.error(f"there is no file {asked.enter}")
    labelling = Labelling(what, asked.labels)
    if asked.unrecognised:
        said = {"label": what.label, **labelling.about("boxes", asked.by), "why": asked.unrecognised.rstrip(".")}
        checkpoints.write_bytes(labelling.file("unrecognised"), json.dumps(said).encode())
    if not (asked.sheets or asked.enter):
        record(labelling)
        return {}
    stage = labelling.next()
    if stage is None:
        raise ValueError(f"all rounds of {what.label} are labelled: `python -m experiments {what.name}` counts them")
    if asked.enter:
        print(labelling.enter(stage, asked.enter, asked.by))
        stage = labelling.next()
        return {"the count": f"round {stage!r} is next" if stage else "all rounds are labelled"}
    files = labelling.draw(stage, asked.sheets)
    return {"the count": f"round {stage!r} is on {len(files)} sheets, from {files[0]} on"}
