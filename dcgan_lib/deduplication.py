"""Near duplicates in a set of pictures, found in linear time and listed; nothing is deleted (paper section 4.1.1).

A 3072-128-3072 denoising ReLU autoencoder with dropout learns to redraw 32x32 centre crops. Which of its 128 code units
are on is the picture's semantic hash. The paper takes pictures of equal hash for duplicates (`radius=0`, infinite
`tolerance`); here hashes may differ in a few bits, still in linear time, and what they find is compared in its pixels.
Exact repeats are found by their pixels, whatever the hashes say.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from . import checkpoints
from .checks import whole
from .data import ImageSet, batches
from .device import pick_device

SIZE = 32  # of the crops
BITS = 128  # of the code
CONTRAST = 0.02  # pictures in [-1, 1] of less than this deviation count as blank: their noise is not stretched
BATCH = 2_048  # pictures encoded, or pairs compared, at a time
KINDS = ("exact", "resized", "recompressed", "shifted", "mirrored", "brightness")


class Autoencoder(nn.Module):
    """3072-128-3072: `forward` redraws noisy crops (n, 3072), `hash` says which units of the code are on."""

    def __init__(self, noise: float = 4.0, dropout: float = 0.5):
        super().__init__()
        self.noise, self.dropout = noise, dropout
        self.encoder = nn.Linear(3 * SIZE * SIZE, BITS)
        self.decoder = nn.Linear(BITS, 3 * SIZE * SIZE)

    def forward(self, crops: Tensor, rng: torch.Generator) -> Tensor:
        noisy = crops + self.noise * torch.randn(crops.shape, generator=rng).to(crops)
        kept = torch.rand((len(crops), BITS), generator=rng).to(crops) >= self.dropout
        return self.decoder(F.relu(self.encoder(noisy)) * kept / (1 - self.dropout))

    @torch.no_grad()
    def hash(self, crops: Tensor) -> np.ndarray:
        """Crops (n, 3072) → packed bits, uint8 (n, 16). No noise, no dropout."""
        return np.packbits((self.encoder(crops) > 0).cpu().numpy(), axis=1)


@dataclass(frozen=True)
class Duplicates:
    """Pairs of near duplicates among `n` pictures.

    `pairs` (P, 2) are indices, the smaller first, in order; `hamming` (P,) the bits in which the hashes differ;
    `distances` (P,) how far the pictures are apart, see `distance`.
    """

    n: int
    pairs: np.ndarray
    hamming: np.ndarray
    distances: np.ndarray

    @functools.cached_property
    def clusters(self) -> np.ndarray:
        """(n,) the cluster of each picture: 0, 1, … by their first pictures, -1 for pictures in no pair."""
        return clusters(self.pairs, self.n)

    @property
    def redundant(self) -> np.ndarray:
        """Indices of all pictures but the first of each cluster: what one would leave out of a training."""
        members = np.flatnonzero(self.clusters >= 0)
        _, first = np.unique(self.clusters[members], return_index=True)
        return np.delete(members, first)


def find_duplicates(
    images: ImageSet | np.ndarray,
    *,
    radius: int = 7,
    tolerance: float = 0.5,
    mirrored: bool = False,
    window: int = 32,
    steps: int = 2_000,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> Duplicates:
    """Near duplicates among pictures: an ImageSet or uint8 (N, H, W, 1 or 3).

    `radius` is the most bits in which hashes may differ (the paper: 0), `tolerance` the largest `distance` of a pair
    (infinite: every collision counts, as in the paper), `mirrored` finds mirror images too. Exact repeats are found
    whatever their hashes. `window` and `steps` are those of `candidates` and `fit`. Memory: 32 bytes of hashes a
    picture, the pairs, and blocks of fixed size.
    Raises ValueError for fewer than 2 pictures or another shape or type, and for settings that would find nothing;
    TypeError for a radius, a window or steps that are no whole numbers.
    """
    pictures = images.images if isinstance(images, ImageSet) else images
    _check_search(radius, tolerance, window)
    device = pick_device(device)
    network = fit(pictures, steps=steps, mirrored=mirrored, seed=seed, device=device, progress=progress)
    hashes = encode(network, pictures, mirrored=mirrored, device=device, progress=progress)
    return compare(
        pictures, hashes, radius=radius, tolerance=tolerance, mirrored=mirrored, window=window, progress=progress
    )


def compare(
    images: np.ndarray,
    hashes: np.ndarray,
    *,
    radius: int = 7,
    tolerance: float = 0.5,
    mirrored: bool = False,
    window: int = 32,
    progress: bool = True,
) -> Duplicates:
    """The last step of `find_duplicates`, for hashes (N, bytes) that are there already.

    Hashes that are the same for too many pictures would hide exact repeats, so these are looked up by their pixels too.
    Raises ValueError for another number of hashes, and as `find_duplicates` does.
    """
    _check_search(radius, tolerance, window)
    if hashes.ndim != 2 or len(hashes) != len(images):
        raise ValueError(f"expected a hash for each of {len(images)} pictures, got {hashes.shape}")
    alike = candidates(hashes, radius, window)
    pixels = pixel_hashes(images, mirrored, progress)
    pairs = np.unique(np.concatenate([alike, candidates(pixels, 0, window)]), axis=0)
    apart = distance(images, pairs, mirrored=mirrored, progress=progress)
    apart[_differ(pixels, *pairs.T) == 0] = 0  # mirror images' crops may lie a pixel off, and round
    near = apart <= tolerance
    return Duplicates(len(images), pairs[near], _differ(hashes, *pairs[near].T), apart[near])


def _check_search(radius: int, tolerance: float, window: int) -> None:
    whole(radius, "radius", 0, BITS // 8 - 1)
    whole(window, "window", 1)
    if isinstance(tolerance, bool) or not isinstance(tolerance, Real) or not tolerance >= 0:
        raise ValueError(f"tolerance must be a number of at least 0 (infinite: all), got {tolerance!r}")


def pixel_hashes(images: np.ndarray, mirrored: bool = False, progress: bool = True) -> np.ndarray:
    """Hashes of all pixels, uint8 (N, 16), equal for equal pictures alone; `mirrored`: and for mirror images."""
    out = np.empty((len(images), 16), np.uint8)
    quiet = {"delay": 2} if progress else {"disable": True}
    for i, picture in enumerate(tqdm(images, "looking for repeats", unit="picture", **quiet)):
        pixels = picture.tobytes()
        if mirrored:
            pixels = min(pixels, picture[:, ::-1].tobytes())
        out[i] = np.frombuffer(hashlib.blake2b(pixels, digest_size=16).digest(), np.uint8)
    return out


def crops(images: np.ndarray, mirrored: bool = False) -> Tensor:
    """uint8 (n, H, W, 1 or 3) → the autoencoder's inputs (n, 3072): centre crops of 32x32, mean 0 and deviation 1 each.

    So brightness and contrast do not count. `mirrored` turns each picture so that its left half is the darker one: a
    picture and its mirror image become one, unless their halves are almost equally bright.
    """
    x = _squares(images)
    if mirrored:
        turn = x[..., : SIZE // 2].sum((1, 2, 3)) > x[..., SIZE // 2 :].sum((1, 2, 3))
        x = torch.where(turn[:, None, None, None], x.flip(3), x)
    x = x.flatten(1)
    x = x - x.mean(1, keepdim=True)
    return x / x.std(1, keepdim=True).clamp_min(CONTRAST)


def _squares(images: np.ndarray) -> Tensor:
    """The centre squares, (n, 3, 32, 32) in [-1, 1]."""
    (x,) = batches(images, len(images))
    side = min(x.shape[2:])
    top, left = (x.shape[2] - side) // 2, (x.shape[3] - side) // 2
    x = x[:, :, top : top + side, left : left + side]
    if side != SIZE:
        x = F.interpolate(x, size=(SIZE, SIZE), mode="bilinear", antialias=True)
    return x.expand(-1, 3, -1, -1)


def fit(
    images: np.ndarray,
    *,
    steps: int = 2_000,
    batch_size: int = 128,
    noise: float = 4.0,
    dropout: float = 0.5,
    mirrored: bool = False,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> Autoencoder:
    """Train the autoencoder on random minibatches (Adam, squared error): its time does not depend on their number."""
    whole(steps, "steps", 1)
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4 or len(images) < 2:
        got = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise ValueError(f"expected at least 2 pictures, uint8 (N, H, W, 1 or 3), got {got}")
    rng = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Autoencoder(noise, dropout).to(device)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in tqdm(range(steps), "learning to redraw", unit="step", **({} if progress else {"disable": True})):
        chosen = torch.randint(len(images), (batch_size,), generator=rng).numpy()
        x = crops(images[chosen], mirrored).to(device)
        loss = F.mse_loss(network(x, rng), x)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network


def encode(
    network: Autoencoder,
    images: np.ndarray,
    *,
    mirrored: bool = False,
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> np.ndarray:
    """The hashes of all pictures, packed bits, uint8 (N, 16)."""
    out = np.empty((len(images), BITS // 8), np.uint8)
    for start in tqdm(range(0, len(images), BATCH), "hashing", unit="batch", **({} if progress else {"disable": True})):
        part = slice(start, start + BATCH)
        out[part] = network.hash(crops(images[part], mirrored).to(device))
    return out


_ONES = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)


def candidates(hashes: np.ndarray, radius: int = 0, window: int = 32) -> np.ndarray:
    """Pairs whose hashes, uint8 (N, bytes), differ in at most `radius` bits: indices (P, 2), smaller first.

    Hashes that differ in at most r bits agree in at least one of r + 1 parts. So the hashes are sorted by each part in
    turn, and each is compared with the next `window` that agree with it there: all pairs of a bucket of up to
    window + 1 pictures, and only those near in the order of their other bits in a larger one (where equal hashes still
    form one chain). So time and memory are linear in N. Raises ValueError when a part would have less than a byte.
    """
    n, width = hashes.shape
    if not 0 <= radius < width:
        raise ValueError(f"radius must be from 0 to {width - 1} for hashes of {width} bytes, got {radius}")
    found = [np.empty((0, 2), np.int64)]
    for columns in np.array_split(np.arange(width), radius + 1):
        others = np.setdiff1d(np.arange(width), columns)
        order = np.lexsort((*hashes.T[others], *hashes.T[columns]))  # equal hashes stand together, by index
        keys = hashes[order][:, columns]
        for offset in range(1, min(window, n - 1) + 1):
            same = np.flatnonzero((keys[:-offset] == keys[offset:]).all(1))
            if not len(same):
                break  # no bucket is that large
            a, b = order[same], order[same + offset]
            near = _differ(hashes, a, b) <= radius
            found.append(np.sort(np.stack([a[near], b[near]], 1), axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _differ(hashes: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _ONES[hashes[a] ^ hashes[b]].sum(1, dtype=np.int64)


def distance(
    images: np.ndarray, pairs: np.ndarray, *, mirrored: bool = False, shift: int = 2, progress: bool = True
) -> np.ndarray:
    """How far the two pictures of each pair (P, 2) are apart: (P,), 0 for equal ones, about 1.4 for unrelated ones.

    The root mean square difference of the details of their 32x32 centre crops where they overlap, at the best of the
    shifts by up to `shift` pixels. Details: a slight blur against the noise of compression, then differences from the
    mean of 11x11 pixels in units of the deviation there, of mean 0 and deviation 1 in all. Whole pictures would not do:
    any two skies over dark land agree but for a tenth of their pixels. `mirrored` takes the nearer of the second
    picture and its mirror image. Blank pictures are alike whatever their grey.
    """
    out = np.empty(len(pairs))
    inner = slice(shift, SIZE - shift)
    quiet = {"delay": 2} if progress else {"disable": True}
    for start in tqdm(range(0, len(pairs), BATCH // 8), "comparing", unit="batch", **quiet):
        part = pairs[start : start + BATCH // 8]
        a, b = (_details(images[side]) for side in part.T)
        best = torch.full((len(part),), torch.inf)
        for other in (b, b.flip(3)) if mirrored else (b,):
            for y in range(2 * shift + 1):
                for x in range(2 * shift + 1):
                    moved = other[..., y : y + SIZE - 2 * shift, x : x + SIZE - 2 * shift]
                    best = torch.minimum(best, (a[..., inner, inner] - moved).square().mean((1, 2, 3)))
        out[start : start + len(part)] = best.sqrt().numpy()
    return out


def _details(images: np.ndarray) -> Tensor:
    x = _mean_of(_squares(images), 3)
    x = x - _mean_of(x, 11)
    x = x / (_mean_of(x.square().mean(1, keepdim=True), 11).sqrt() + 0.05)
    x = x - x.mean((1, 2, 3), keepdim=True)
    return x / x.std((1, 2, 3), keepdim=True).clamp_min(CONTRAST)


def _mean_of(x: Tensor, width: int) -> Tensor:
    """Mean of the square of `width` pixels about each pixel, of what of it lies inside the picture.

    As two matrix products, down the columns and along the rows: avg_pool2d takes several times as long.
    """
    down, along = (_window(side, width) for side in x.shape[-2:])  # (H, H), (W, W)
    return down @ x @ along.T


def _window(side: int, width: int) -> Tensor:
    """(side, side): row i means over the `width` places about i that there are."""
    place = torch.arange(side)
    near = ((place[:, None] - place).abs() <= width // 2).float()
    return near / near.sum(1, keepdim=True)


def clusters(pairs: np.ndarray, n: int) -> np.ndarray:
    """Which of n pictures hang together by pairs (P, 2): numbers (n,) from 0 by first picture, -1 for those in none."""
    graph = coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    paired = np.zeros(n, bool)
    paired[pairs] = True
    out = np.full(n, -1)
    _, first, inverse = np.unique(component[paired], return_index=True, return_inverse=True)
    out[paired] = np.argsort(np.argsort(first))[inverse]
    return out


def write_csv(duplicates: Duplicates, path: str | Path, names: Sequence[str] | None = None) -> Path:
    """One line a pair: its cluster, both pictures (their `names`, else indices), bits of difference and distance."""
    if names is not None and len(names) != duplicates.n:
        raise ValueError(f"expected {duplicates.n} names, one a picture, got {len(names)}")
    number = duplicates.clusters
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["cluster", "first", "second", "hamming", "distance"])
    for i in np.argsort(number[duplicates.pairs[:, 0]], kind="stable"):
        (a, b), bits, apart = duplicates.pairs[i], duplicates.hamming[i], duplicates.distances[i]
        first, second = (names[a], names[b]) if names is not None else (a, b)
        writer.writerow([number[a], first, second, bits, f"{apart:.4f}"])
    return checkpoints.write_bytes(path, text.getvalue().encode(errors="surrogateescape"))  # names as the disk has them


def plant(images: np.ndarray, kind: str, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Copies of n of the pictures, uint8 (N, H, W, 1 or 3), to measure with: copies (n, H, W, C), their originals (n,).

    `kind`: exact; resized to 60 to 90 % and back; recompressed as JPEG of quality 40 to 90; shifted by 1/32 or 2/32 of
    the width and height, the edge repeated; mirrored; brightness, a factor from 0.8 to 1.2 and up to 20 grey levels.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of copy {kind!r}: known are {', '.join(KINDS)}")
    if not 1 <= n <= len(images):
        raise ValueError(f"n must be from 1 to the {len(images)} pictures, got {n}")
    originals = rng.choice(len(images), n, replace=False)
    return np.stack([_copy(images[i], kind, rng) for i in originals]), originals


def _copy(picture: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    height, width, channels = picture.shape
    if kind == "mirrored":
        return picture[:, ::-1]
    if kind == "brightness":
        changed = picture * rng.uniform(0.8, 1.2) + rng.uniform(-20, 20)
        return changed.round().clip(0, 255).astype(np.uint8)
    if kind == "shifted":
        signed = rng.choice([-2, -1, 1, 2], 2)
        away = (abs(signed) * [height, width] / SIZE).round().clip(1)
        down, right = (np.sign(signed) * away).astype(int)
        rows, columns = np.arange(height) - down, np.arange(width) - right
        return picture[rows.clip(0, height - 1)][:, columns.clip(0, width - 1)]
    image = Image.fromarray(picture[..., 0] if channels == 1 else picture)
    if kind == "resized":
        scale = rng.uniform(0.6, 0.9)
        smaller = image.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.LANCZOS)
        image = smaller.resize((width, height), Image.Resampling.LANCZOS)
    elif kind == "recompressed":
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(rng.integers(40, 91)))
        image = Image.open(file)
    return np.asarray(image).reshape(picture.shape)
