"""How an experiment is written: variants of one training, seeds, what is measured, and what would count as holding.

`run` trains each variant with each seed, measures it and writes one file of results/. Everything may be stopped and
started again: training goes on from its checkpoint, and a row that is there is kept as long as all that it depends on
(settings, architecture, pictures and labels, measures with their versions, weights) is the same. That a training
diverged is its result: it is not tried again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dcgan_lib import checkpoints, data, results, sheets, training
from dcgan_lib.architecture import Architecture, architecture
from dcgan_lib.checks import choose
from dcgan_lib.config import OPERATIONAL

from . import scale
from .measures import Measure, Staged, fingerprints, first_line, placed, thinned
from .rules import Rule

CURVE = 30  # lines of a training's statistics in the file of a study of many
SHEET = 10  # pictures of a variant on a study's sheet
BOOKKEEPING = ("variant", "seed", "note", "data", "machines")  # of a row: all but what was measured
WHERE = ("out", "device", *OPERATIONAL)  # of a configuration: what changes no number, or is named as a machine


@dataclass(frozen=True)
class Variant:
    """One way to train: what differs from the study's base, in the configuration and in the architecture.

    `seeds` and `measures` are the study's unless it has its own. `on_sheet`: its samples are worth a row of pictures.
    """

    name: str
    config: dict = field(default_factory=dict)
    arch: dict = field(default_factory=dict)
    note: str = ""
    seeds: tuple[int, ...] | None = None
    measures: tuple[Measure, ...] | None = None
    on_sheet: bool = True


@dataclass(frozen=True)
class Prediction:
    """What would count as holding, said before the run: in words, and as a rule, rows → Verdict."""

    says: str
    rule: Rule
    claim: str | None = None


@dataclass(frozen=True)
class Study:
    """Trainings that are compared.

    `images(config)` gives the pictures where they are not simply `config.data`. Weights of `stages` (steps) are kept.
    A training whose row `goes_on(row)` goes on to the next of the `further` stages, and is measured anew there.
    `report(study, rows)` returns what the results file calls measured, and the claims; without one these are the rows.
    `result` names the file of results/, `not_run` says why there is none. `by_name_only` says why a run of everything
    leaves the study out.
    """

    name: str
    says: str
    base: training.TrainConfig
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...] = (0,)
    measures: tuple[Measure, ...] = ()
    predicts: tuple[Prediction, ...] = ()
    images: Callable[[training.TrainConfig], data.ImageSet] | None = None
    stages: tuple[int, ...] = ()
    further: tuple[int, ...] = ()
    goes_on: Callable[[dict], bool] | None = None
    report: Callable[[Study, list[dict]], tuple[dict, dict]] | None = None
    result: str = ""
    not_run: str = ""
    by_name_only: str = ""

    def __post_init__(self):
        names = [variant.name for variant in self.variants]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"study {self.name} needs variants with different names, got {names}")
        for variant in self.variants:
            seeds = self.seeds if variant.seeds is None else variant.seeds
            if not seeds or len(set(seeds)) < len(seeds):
                raise ValueError(f"{self.name}, {variant.name}: expected different seeds, at least one, got {seeds}")
            config_of(self, variant, seeds[0])  # a slip in a field's name or value shows at once
        ends = (*self.stages[-1:], *self.further)
        if self.further and (self.goes_on is None or len(ends) == len(self.further) or sorted(set(ends)) != list(ends)):
            raise ValueError(
                f"{self.name}: `further` stages need `goes_on` and must rise beyond the last of `stages`, got "
                f"{self.further} after {self.stages}"
            )

    @property
    def file(self) -> str:
        return self.result or self.name


# ---- what a study asks for -----------------------------------------------------------------------------------------


def config_of(study: Study, variant: Variant, seed: int) -> training.TrainConfig:
    """The whole configuration of one training; small, and in a folder of its own, at scale 'fast'."""
    arch = architecture(variant.config.get("arch", study.base.arch), **variant.arch)
    changes = {k: v for k, v in variant.config.items() if k != "arch"}
    if {"steps", "epochs"} & set(changes):
        changes = {"steps": None, "epochs": None} | changes
    out = Path(changes.pop("out", Path(study.base.out) / variant.name))
    out = out if seed == 0 else out.with_name(f"{out.name}_seed{seed}")
    config = replace(study.base, **changes, arch=arch, seed=seed, out=out)
    return small(config) if scale.fast() else config


def first_config(study: Study) -> training.TrainConfig:
    """Of the study's first variant with seed 0: what others read where a study has one training."""
    return config_of(study, study.variants[0], 0)


def small(config: training.TrainConfig) -> training.TrainConfig:
    """A few steps of a narrow network of the same kind."""
    arch = replace(config.arch, widths=tuple(max(4, width // 16) for width in config.arch.widths))
    return replace(
        config,
        arch=replace(arch, dense_units=arch.dense_units and 16),
        out=scale.runs(str(Path(config.out).relative_to("runs"))),
        steps=scale.STEPS,
        epochs=None,
        batch_size=scale.BATCH,
        start=None,
        keep_every=config.keep_every and scale.STEPS // 2,
        limit=config.limit and min(config.limit, 4 * scale.BATCH),
        sample_every=1,
        log_every=1,
        progress=False,
    )


def stages_of(study: Study) -> tuple[int, ...]:
    """Steps whose weights are kept."""
    return (scale.STEPS // 2, scale.STEPS) if scale.fast() and study.stages else study.stages


def lengths(study: Study, done: int = 0) -> list[Study]:
    """The study as it stands, then with one further stage, and so on; without those that `done` steps have passed."""
    further = () if scale.fast() else study.further
    out = [replace(study, further=further)]
    for i, steps in enumerate(further, 1):
        base, stages = replace(study.base, steps=steps), (*study.stages, *further[:i])
        out.append(replace(study, base=base, stages=stages, further=further[i:]))
    return [length for length in out[:-1] if done <= length.stages[-1]] + out[-1:]


def measures_of(study: Study, variant: Variant) -> tuple[Measure, ...]:
    found = study.measures if variant.measures is None else variant.measures
    return tuple(m.small() for m in found) if scale.fast() else found


def draws_of(measure: Measure, seed: int) -> np.random.Generator:
    """What decides a measure's draws: the same for all variants of one seed."""
    return np.random.default_rng((seed, zlib.crc32(measure.name.encode())))


def seeds_of(study: Study, variant: Variant) -> tuple[int, ...]:
    seeds = study.seeds if variant.seeds is None else variant.seeds
    return seeds[:1] if scale.fast() else seeds


def pictures(study: Study, config: training.TrainConfig) -> data.ImageSet:
    """The training pictures, before `config.limit`. Raises NotAvailable."""
    if study.images:
        return study.images(config)
    size = config.arch.image_size
    name, prepared = str(config.data), data.data_root() / f"{config.data}.npz"
    if name not in data.CARDS and not Path(name).exists():
        if not prepared.exists():
            raise data.NotAvailable(f"{name} is no set that the library fetches: put {prepared.name} into DCGAN_DATA")
        return data.load(prepared, image_size=size)
    return data.load(config.data, image_size=size)


def chosen(study: Study, only=None, seeds=None, shard: tuple[int, int] | None = None) -> list[tuple[Variant, int]]:
    """The trainings of a call: some variants, some seeds, every n-th of them. Shards part the work without overlap.

    A seed after the other, of all variants that have it: a run that is cut short compares as many as it can.
    Raises ValueError for an unknown variant, seeds that none of them has, or a shard that is not one of its number.
    """
    names = [variant.name for variant in study.variants]
    only = [choose(name, names, f"variant of {study.name}") for name in only or names]
    asked = [(v, seeds_of(study, v)) for v in study.variants if v.name in only]
    known = dict.fromkeys(seed for _, own in asked for seed in own)
    if unknown := sorted(set(seeds or ()) - set(known)):
        raise ValueError(f"{study.name} has no seed {unknown[0]} here: known are {', '.join(map(str, known))}")
    turns = [[(v, seed) for v, own in asked if seed in own] for seed in seeds or known]
    i, n = (0, 1) if shard is None else shard
    if not 0 <= i < n:
        raise ValueError(f"shard must be I/N with I from 0 to N - 1, got {i}/{n}")
    # In turn; where the variants fill whole rounds, a shard further with each seed, or one would get the same variants.
    ahead = [sum(map(len, turns[:k])) % n or k for k in range(len(turns))]
    return [job for k, turn in enumerate(turns) for p, job in enumerate(turn) if (p + ahead[k]) % n == i]


# ---- train and measure ---------------------------------------------------------------------------------------------


def run(study: Study, only=None, seeds=None, shard: tuple[int, int] | None = None, fresh: bool = False) -> dict:
    """Train and measure what was asked for, then write the results file of all rows that are there.

    `fresh` deletes what earlier calls left of these trainings. Returns {variant: why it was left out}; NotAvailable
    where nothing at all could be had, ValueError where another process trains in a folder that is to be deleted.
    """
    left_out = {}
    jobs = chosen(study, only, seeds, shard)
    for variant, seed in jobs:
        config = config_of(study, variant, seed)
        try:
            print(f"{study.name}: {variant.name}, seed {seed}", flush=True)
            if fresh and Path(config.out).exists():
                pictures(study, config)  # nothing goes that could not be made again
                with training.RunFolder(config.out).locked():
                    shutil.rmtree(config.out)
            row(study, variant, seed)
        except (data.NotAvailable, ImportError) as error:
            left_out[variant.name] = first_line(error)
    if jobs and len(left_out) == len({variant.name for variant, _ in jobs}):
        raise data.NotAvailable(f"{study.name}: {next(iter(left_out.values()))}")
    collect(study, left_out)
    return left_out


def row(study: Study, variant: Variant, seed: int) -> dict:
    """What one training gave, at the stage where it does not go on; trained and measured now where it is not there."""
    folder = training.RunFolder(config_of(study, variant, seed).out)
    for length in lengths(study, steps_done(folder)):
        found = _row(length, variant, seed)
        if final(length, found):
            break
    return found


def final(length: Study, row: dict) -> bool:
    """Whether a row, measured at this length of its study, is that of its end."""
    return not length.further or "diverged" in row or not length.goes_on(row)


def _row(study: Study, variant: Variant, seed: int) -> dict:
    config = config_of(study, variant, seed)
    images = pictures(study, config)
    finished, path = None, row_file(config)
    key = key_of(study, variant, seed, images)  # of what is there before
    before = kept_under(path, key, ("measures", "note"))
    if message := before and before.get("diverged"):
        again = f"python -m experiments {study.name} --only {variant.name} --seed {seed} --fresh"
        print(f"it diverged in an earlier call, which is its result; to train it anew: {again}", flush=True)
    elif found := _from_elsewhere(study, config, key):
        return found
    else:
        try:
            finished = train(config, images, stages_of(study))
        except training.TrainingDiverged as error:
            message = first_line(error)
        key = key_of(study, variant, seed, images)

    def measured() -> dict:
        about = {"variant": variant.name, "seed": seed, "note": variant.note, "data": images.name}
        if finished is None:
            return about | {"finite": False, "diverged": message}
        about |= origin(config, finished.out)
        for network in (finished.generator, finished.discriminator):
            placed(network)
        staged = Staged(**vars(finished), steps=stages_of(study))
        for m in measures_of(study, variant):
            about |= m(staged, images, draws_of(m, seed))
        return about

    return kept_row(config, key) or once(path, key, measured)


def _from_elsewhere(study: Study, config: training.TrainConfig, key: dict) -> dict | None:
    """The row of a training whose networks stayed on the machine that made it; None where it was made or begun here.

    A report may ship networks, so a study that has one needs them. (`fresh` trains such a row here.)
    """
    folder = training.RunFolder(config.out)
    if study.report or folder.weights.exists() or folder.state.exists():
        return None
    return kept_row(config, key, ("weights",))


def train(config: training.TrainConfig, images: data.ImageSet, stages: tuple[int, ...] = ()) -> training.Run:
    """Train to the end, or to the last stage, and keep the weights at each. Goes on where it stopped."""
    folder = training.RunFolder(config.out)
    last = stages[-1] if stages else None
    for step in stages:
        kept = folder.kept(step)
        by_itself = config.keep_every and step % config.keep_every == 0
        if step == last or by_itself or kept.exists() or step < steps_done(folder):
            continue
        found = training.train(replace(config, steps=step, epochs=None), images, extend=True)
        keep(found.out / checkpoints.FILE, kept)
    config = replace(config, steps=last, epochs=None) if stages else config
    found = training.train(config, images, extend=True)
    if stages and not folder.kept(last).exists():
        keep(found.out / checkpoints.FILE, folder.kept(last))
    return found


def keep(source: Path, kept: Path) -> None:
    checkpoints.write_bytes(kept, source.read_bytes())


def steps_done(folder: training.RunFolder) -> int:
    """The checkpoint's step, or that of a finished run's weights; 0 without either."""
    if folder.state.exists():
        return checkpoints.state_about(folder.state)["step"]
    return folder.finished_at() or 0


def origin(config: training.TrainConfig, out: Path) -> dict:
    """Where a row comes from: the machines and precisions that took part, and how many pictures its networks saw.

    `pictures_seen_before` counts those of the weights that the run was started from (`config.start`).
    """
    folder = training.RunFolder(out)
    before = seen(config.start) if config.start else 0
    return {
        "start": config.start and str(Path(config.start).name),
        "pictures_seen_before": before,
        "pictures_seen": before + folder.finished_at() * config.batch_size,
        "machines": [
            {k: s.get(k) for k in ("from_step", "device", "precision", "processes", "versions")}
            for s in folder.recorded()["stretches"]
        ],
    }


def seen(weights: str | Path) -> int:
    """Pictures that the networks of a file have seen, as it says of itself, and those of the file it started from."""
    about = checkpoints.info(weights)["about"]
    config = about.get("config", {})
    start = config.get("start")
    return about.get("step", 0) * config.get("batch_size", 0) + (seen(start) if start else 0)


# ---- rows that may be trusted --------------------------------------------------------------------------------------


def key_of(study: Study, variant: Variant, seed: int, images: data.ImageSet) -> dict:
    """All that a row depends on."""
    config = config_of(study, variant, seed)
    folder = training.RunFolder(config.out)
    settings = {k: v for k, v in asdict(config).items() if k not in (*WHERE, "arch")}
    return {
        "config": settings | {"data": Path(config.data).name, "start": config.start and str(config.start)},
        "architecture": config.arch.to_dict(),
        "note": variant.note,
        "stages": stages_of(study),
        "pictures": {"images": len(images), **fingerprints(images)},
        "measures": [m.key() for m in measures_of(study, variant)],
        # Weights that other hands or another machine made give other numbers.
        "weights": file_digest(folder.weights) if folder.weights.exists() else None,
    }


def kept_row(config: training.TrainConfig, key: dict, but: tuple[str, ...] = ()) -> dict | None:
    """The row that is there under this key (`but` for some of its parts), whatever was noted of its variant.

    A note is prose: a row with another wording is no other row, and takes today's.
    """
    found = kept_under(row_file(config), key, ("note", *but))
    return found and found | {"note": key["note"]}


def file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def row_file(config: training.TrainConfig) -> Path:
    return Path(config.out) / "row.json"


def once(path: Path, key: dict, measure: Callable[[], dict]) -> dict:
    """What `measure()` returns, kept as JSON: a command that was stopped does not measure it again.

    `key` says all that it depends on (fingerprints, digests, settings, versions); with another key it is measured anew.
    """
    key = json.loads(json.dumps(key))
    there = kept_under(path, key)
    if there is None:
        checkpoints.write_bytes(path, json.dumps({"key": key, "value": measure()}).encode())
        there = kept_under(path, key)
    return there


def kept_under(path: Path, key: dict, but: tuple[str, ...] = ()) -> dict | None:
    """What `once` kept under this very key (`but` for some of its parts), or None; a damaged file counts as none."""
    try:
        there, key = json.loads(path.read_text()), json.loads(json.dumps(key))
        return there["value"] if there["key"] | {k: key[k] for k in but} == key else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def rows_there(study: Study) -> Iterator[tuple[Variant, int, dict | None, str]]:
    """Every (variant, seed) of the study with its row, or None where it was not trained and measured as it stands.

    A row may come from another machine, without its networks (`_from_elsewhere`). Last comes why its pictures cannot
    be had, "" where they can.
    """
    for variant, seed in chosen(study):
        config = config_of(study, variant, seed)
        try:
            images = pictures(study, config)
        except (data.NotAvailable, ImportError) as error:
            yield variant, seed, None, first_line(error)
            continue
        for length in lengths(study, steps_done(training.RunFolder(config.out))):
            config = config_of(length, variant, seed)
            key = key_of(length, variant, seed, images)
            row = kept_row(config, key) or _from_elsewhere(length, config, key)
            if row and final(length, row):
                break
        else:
            row = None
        yield variant, seed, row, ""


# ---- the results file ----------------------------------------------------------------------------------------------


def collect(study: Study, left_out: dict[str, str]) -> Path | None:
    """Write the results file of all rows that are there. A study with a `report` waits until none is missing.

    A file that has a row which the study asks for and which is not here stays as it is.
    `left_out`, {variant: why}, is of this call; what another shard could not have is looked up.
    """
    found = list(rows_there(study))
    rows = [r for _, _, r, _ in found if r is not None]
    missing = [[variant.name, seed] for variant, seed, r, _ in found if r is None]
    left_out = {variant.name: why for variant, _, _, why in found if why} | left_out
    if not rows or (study.report and missing):
        print(f"{study.name}: {len(rows)} of {len(found)} rows are there, no results file yet")
        return None
    path = results.folder() / f"{study.file}.json"
    if study.report and "diverged" in rows[0]:
        print(f"{path} stays as it is: the training of which it tells diverged, and ships nothing")
        return None
    before = json.loads(path.read_text())["measured"].get("rows", []) if path.exists() else []
    if missing and (lost := [pair for row in before if (pair := [row["variant"], row["seed"]]) in missing]):
        print(
            f"{path} stays as it is: of its {len(before)} rows {len(lost)} are not here, {lost[0][0]} with seed "
            f"{lost[0][1]} the first; here are {len(rows)} of {len(found)}"
        )
        return None
    if study.report:
        measured, claims = study.report(study, rows)
    else:
        measured, claims = compared(study, rows, missing, left_out)
    variant, seed = next((v, s) for v, s, r, _ in found if r is not None)
    config = config_of(study, variant, seed)
    images = pictures(study, config)
    images = images if config.limit is None else images.take(config.limit, seed=config.seed)
    machines = list({json.dumps(m, sort_keys=True): m for r in rows for m in r.get("machines", [])}.values())
    return results.record(
        study.file,
        measured,
        command=f"python -m experiments {study.name}",
        settings=settings_of(config),
        seed=seed,
        images=images,
        device="; ".join(dict.fromkeys(m["device"] for m in machines)),
        claims=claims,
        machines=machines,
    )


def settings_of(config: training.TrainConfig) -> dict:
    """A configuration as results files show it."""
    values = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(config).items() if k not in ("arch", "out")}
    values["data"] = Path(values["data"]).stem if "/" in values["data"] else values["data"]
    values["start"] = config.start and Path(config.start).name
    return values | {"architecture": config.arch.to_dict()}


def compared(study: Study, rows: list[dict], missing: list, left_out: dict[str, str]) -> tuple[dict, dict]:
    """The measured part of a study of several variants, and its claims: the rows and what became of the predictions."""
    predictions, claims = judged(study, rows, missing)
    variants = [
        {
            "name": v.name,
            "note": v.note,
            "config": {k: shown(x) for k, x in v.config.items()},
            "arch": v.arch,
            "seeds": seeds_of(study, v),
        }
        for v in study.variants
    ]
    measured = {
        "variants": variants,
        "rows": list(map(shortened, rows)),
        "missing": missing,
        "left_out": left_out,
        "predictions": predictions,
        "sheet": sheet(study, rows),
    }
    return measured, claims


def judged(study: Study, rows: list[dict], missing: list) -> tuple[list[dict], dict]:
    """What became of the predictions, and of the claims among them; of claims only where no row is missing."""
    predictions, claims = [], {}
    for prediction in study.predicts:
        verdict = prediction.rule(rows)
        predictions.append({"predicts": prediction.says, "verdict": str(verdict.outcome), "words": verdict.words})
        if prediction.claim and not missing:
            claims[prediction.claim] = {"ours": f"{study.name}: {verdict.words}.", "verdict": str(verdict.outcome)}
    return predictions, claims


def measured_of(row: dict) -> dict:
    """A row without its bookkeeping: what the results file of a single training calls measured."""
    return {k: v for k, v in row.items() if k not in BOOKKEEPING}


def shortened(row: dict) -> dict:
    """A row with at most CURVE lines of its training's statistics; one that diverged has none."""
    return row | {"stats": thinned(row["stats"], CURVE)} if "stats" in row else row


def shown(value):
    """A setting as JSON can hold it."""
    return value.to_dict() if isinstance(value, Architecture) else str(value) if isinstance(value, Path) else value


def film(out: Path, name: str, image_size: int, frames: tuple[int, ...]) -> list[int]:
    """Write the film results/<name>_film, the first latents' pictures, a row a moment; return the moments' steps."""
    found = sheets.run_sheets(out)
    moments = [found[min(i, len(found) - 1)] for i in frames]
    write_sheet(f"{name}_film", [sheets.untile(path, image_size)[:SHEET] for path in moments])
    return list(map(checkpoints.step_of, moments))


def sheet(study: Study, rows: list[dict]) -> list[str]:
    """Write results/<file>_samples: the last pictures of each variant's first seed, a row a variant; its names.

    All are as large as the largest: smaller ones are enlarged.
    """
    drawn = {}
    for variant in (v for v in study.variants if v.on_sheet):
        seed = next((r["seed"] for r in rows if r["variant"] == variant.name and "diverged" not in r), None)
        if seed is not None:
            config = config_of(study, variant, seed)
            try:
                last = sheets.run_sheets(config.out)[-1]
            except FileNotFoundError as error:
                raise data.NotAvailable(f"{config.out}/samples is not there: copy it with row.json") from error
            drawn[variant.name] = sheets.untile(last, config.arch.image_size)[:SHEET]
    if drawn:
        side = max(pictures.shape[1] for pictures in drawn.values())
        write_sheet(f"{study.file}_samples", [enlarged(pictures, side) for pictures in drawn.values()])
    return list(drawn)


def enlarged(pictures: np.ndarray, side: int) -> np.ndarray:
    """Pictures (n, size, size, 3) with sides of `side` pixels; every pixel a square where that is possible."""
    size = pictures.shape[1]
    if size == side:
        return pictures
    way = Image.Resampling.BICUBIC if side % size else Image.Resampling.NEAREST
    return np.stack([np.asarray(Image.fromarray(picture).resize((side, side), way)) for picture in pictures])


def write_sheet(name: str, rows: list[np.ndarray]) -> Path:
    """Write results/<name>, a row of pictures (n, side, side, 3) each: coloured ones as .jpg, grey ones as .png."""
    pictures = np.concatenate(rows)
    grey = (pictures == pictures[..., :1]).all()
    tiled = sheets.tile(pictures, len(rows[0]), gap=0)
    return sheets.save(results.folder() / f"{name}{'.png' if grey else '.jpg'}", tiled)


def ship(
    name: str,
    config: training.TrainConfig,
    result: str,
    parts: tuple[str, ...] = ("generator", "discriminator"),
    source: Path | None = None,
) -> None:
    """Ship a run's weights in half precision, or some `parts` of them; `source` is a kept file instead of the end's."""
    source = source or Path(config.out) / checkpoints.FILE
    networks = dict(zip(("generator", "discriminator"), checkpoints.load(source), strict=True))
    about = {"result": f"results/{result}.json", **checkpoints.info(source)["about"]}
    target = scale.weights(f"{name}.safetensors")
    checkpoints.save(target, *(networks[p] if p in parts else None for p in networks), about, torch.float16)
