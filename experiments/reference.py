"""What the reference runs share: thinned statistics, the film of fixed latents, the files that a run leaves."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dcgan_lib import checkpoints, data, models, results, training

LINES = 300  # of a run's statistics that go into results/


def thin(run: training.Run) -> dict:
    """Means over the run's last fifth, its speed, and at most LINES lines of its statistics for the curves."""
    rows = run.stats
    late = rows[-max(1, len(rows) // 5) :]
    names = ("loss_d", "loss_g", "d_real", "d_fake", "accuracy_d")
    return {
        "finite": checkpoints.parameters_finite(run.generator, run.discriminator),
        "steps": rows[-1]["step"],
        "epochs": rows[-1]["epoch"],
        "late_means": {n: float(np.mean([r[n] for r in late if n in r])) for n in names},
        "images_per_second_median": float(np.median([r["images_per_second"] for r in rows])),
        "precision": json.loads((run.out / "run.json").read_text())["resolved"]["precision"],
        "stats": thinned(rows),
    }


def thinned(rows: list[dict]) -> list[dict]:
    """Means of neighbouring lines, so that no peak is picked or lost by chance."""
    size = -(-len(rows) // LINES)
    blocks = [rows[i : i + size] for i in range(0, len(rows), size)]
    names = [n for n in rows[0] | rows[-1] if n.startswith(("loss", "d_", "accuracy", "gradient"))]
    return [
        {"step": block[-1]["step"]}
        | {n: float(f"{np.mean([r[n] for r in block if n in r]):.4g}") for n in names if any(n in r for r in block)}
        for block in blocks
    ]


@torch.no_grad()
def statistics_difference(generator: models.Generator, draws: int = 16) -> dict:
    """How far one z's picture moves with its neighbours (batch statistics) and how far that is from running ones.

    Mean absolute differences in grey levels of 255, over 8 latents, each sampled in `draws` batches of 128.
    """
    own = models.sample_latent(8, generator.arch, 2)
    running = models.sample(generator, own)
    batches = []
    for i in range(draws):
        others = models.sample_latent(120, generator.arch, 100 + i)
        batches.append(models.sample(generator, torch.cat([own, others]), "batch")[:8])
    batches = torch.stack(batches)  # (draws, 8, C, H, W)
    level = 127.5
    return {
        "neighbours": float((batches - batches.mean(0)).abs().mean() * level),
        "running_against_batch": float((batches.mean(0) - running).abs().mean() * level),
    }


def film(run: training.Run, name: str, frames: tuple[int, ...], columns: int = 10) -> list[int]:
    """Write results/<name>_film.png, the first latents' pictures, a row a moment; return the moments' steps."""
    sheets = sorted((run.out / "samples").glob("step_*.png"))
    size = run.generator.arch.image_size
    chosen = [sheets[i] for i in frames]
    rows = [sheets.untile(path, size)[:columns] for path in chosen]
    path = results.folder() / f"{name}_film.png"
    Image.fromarray(sheets.tile(np.concatenate(rows), columns, gap=0)).save(path, optimize=True)
    return [int(p.stem.split("_")[1]) for p in chosen]


def kept(config: training.TrainConfig, stages: tuple[int, ...]) -> dict[int, Path]:
    """{step: file} of the weights that `in_stages` keeps."""
    return {steps: Path(config.out) / f"kept_{steps:07d}.safetensors" for steps in stages}


def in_stages(config: training.TrainConfig, stages: tuple[int, ...]) -> training.Run:
    """Train to the last stage and keep the weights at each. Goes on where it stopped."""
    for steps, path in kept(config, stages).items():
        if steps == stages[-1] or not path.exists():
            run = training.train(replace(config, steps=steps), extend=True)
            shutil.copy(run.out / checkpoints.FILE, path)
    return run


def once(path: Path, key: dict, measure) -> dict:
    """What `measure()` returns, kept as JSON: a command that was stopped does not measure it again.

    `key` says what it depends on (fingerprints, digests, settings); with another key it is measured anew.
    """
    key = json.loads(json.dumps(key))
    if not path.exists() or json.loads(path.read_text())["key"] != key:
        checkpoints.write_bytes(path, json.dumps({"key": key, "value": measure()}).encode())
    return json.loads(path.read_text())["value"]


def finish(
    name: str,
    weights: str,
    run: training.Run,
    config: training.TrainConfig,
    measured: dict,
    claims: dict,
    parts: tuple[str, ...] = ("generator", "discriminator"),
    source: Path | None = None,
) -> None:
    """Ship the weights in half precision, or some `parts` of them, and record the results.

    `source` is the file that they were kept in, where they are not the run's last ones.
    """
    checkpoints.save(
        checkpoints.HERE / f"{weights}.safetensors",
        run.generator if "generator" in parts else None,
        run.discriminator if "discriminator" in parts else None,
        {"result": f"results/{name}.json", **checkpoints.info(source or run.out)["about"]},
        torch.float16,
    )
    record_run(name, run, config, measured, claims)


def record_run(
    name: str, run: training.Run, config: training.TrainConfig, measured: dict, claims: dict, command: str = ""
) -> None:
    """Write results/<name>.json with the run's settings and the fingerprint of its pictures."""
    settings = json.loads((run.out / "run.json").read_text())
    results.record(
        name,
        measured,
        command=f"python {command or f'experiments/{name}.py'}",
        settings=settings["config"] | {"architecture": settings["architecture"]},
        seed=config.seed,
        images=data.load(config.data, image_size=run.generator.arch.image_size, limit=config.limit),
        device=settings["resolved"]["device"],
        claims=claims,
    )


if __name__ == "__main__":
    raise SystemExit(f"run one of {', '.join(p.name for p in Path(__file__).parent.glob('*_*.py'))}")
