"""Pictures that a program already holds: arrays, and data sets in torchvision's manner. They stay in memory."""

from __future__ import annotations

import numbers

import numpy as np
import torch
from PIL import Image

from ..checks import whole
from .decoding import GREY_MODES, decode, printable
from .image_set import ImageSet, fingerprint
from .npz import check_labels


def from_array(
    images, labels=None, name: str = "array", class_names: list[str] | None = None, image_size: int | None = None
) -> ImageSet:
    """uint8 (N, H, W) or (N, H, W, 1 or 3), a numpy array or a tensor, as an ImageSet; labels (N,) from 0.

    Pictures that are not square, or not of `image_size` (default: the shorter side), are cropped and resized as those
    of `load` are; others are used where they are, so leave the array as it is. Raises TypeError for what is no array,
    ValueError that says which shape or type was expected.
    """
    if isinstance(images, torch.Tensor):
        images = images.detach().cpu().numpy()
    if not isinstance(images, np.ndarray):
        raise TypeError(f"expected pictures as a numpy array or a tensor, got {type(images).__name__}")
    expected = "expected pictures as uint8 (N, H, W) or (N, H, W, 1 or 3)"
    if images.dtype != np.uint8:
        hint = ": floats in [-1, 1] become such by data.to_uint8" if images.dtype.kind == "f" else ""
        raise ValueError(f"{expected}, got {images.dtype} {images.shape}{hint}")
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        hint = ": the channels come last" if images.ndim == 4 and images.shape[1] in (1, 3) else ""
        raise ValueError(f"{expected}, got {images.shape}{hint}")
    if 0 in images.shape:
        raise ValueError(f"{expected}, got {images.shape}, which holds no pictures")
    images = images[..., None] if images.ndim == 3 else images.view()
    height, width, channels = images.shape[1:]
    size = min(height, width) if image_size is None else whole(image_size, "image_size", 1, 4096)
    if (height, width) != (size, size):
        images = np.stack([decode(np.ascontiguousarray(x), size, channels) for x in images])
    return _set(images, labels, name, class_names)


def from_dataset(
    dataset, image_size: int | None = None, channels: int | None = None, name: str | None = None
) -> ImageSet:
    """A data set with a length, whose items are pictures or (picture, label), as torchvision's are.

    Pictures are PIL images, uint8 arrays (H, W) or (H, W, C), or tensors (C, H, W): uint8, or floats in [0, 1] as
    ToTensor makes them. Each is read once: of random transforms one draw is kept. `image_size` (default: the first
    picture's shorter side) is reached by a centre crop and an antialiased resize; `channels` (default: 1 when all are
    grey) by conversion. Class names come from `dataset.classes`. Raises TypeError for what has no length or items,
    ValueError that says which item is not a picture or a label and why.
    """
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise TypeError(f"expected a data set with a length and items, got {type(dataset).__name__}")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (RGB), got {channels!r}")
    name = name or type(dataset).__name__.lower()
    if not len(dataset):
        raise ValueError(f"{name} holds no pictures")
    size = None if image_size is None else whole(image_size, "image_size", 1, 4096)
    pictures, labels = [], []
    for i in range(len(dataset)):
        try:
            item = dataset[i]
        except Exception as error:
            raise ValueError(f"item {i} of {name} could not be read ({type(error).__name__}: {error})") from error
        pair = isinstance(item, (tuple, list))
        if pair and len(item) != 2:
            raise ValueError(f"item {i} of {name}: expected a picture or (picture, label), got {len(item)} things")
        picture = _picture(item[0] if pair else item, f"item {i} of {name}")
        size = size or min(picture.size)
        try:
            pictures.append(decode(picture, size, channels or (1 if picture.mode in GREY_MODES else 3)))
        except (OSError, ValueError, SyntaxError) as error:  # SyntaxError: what PIL raises for a broken PNG
            raise ValueError(f"item {i} of {name} could not be decoded ({type(error).__name__}: {error})") from error
        if pair:
            labels.append(_label(item[1], f"item {i} of {name}"))
    if labels and len(labels) != len(pictures):
        raise ValueError(f"{name}: {len(labels):,} of {len(pictures):,} items have a label: expected all or none")
    widest = max(p.shape[-1] for p in pictures)  # a grey picture among coloured ones
    images = np.stack([p if p.shape[-1] == widest else p.repeat(widest, -1) for p in pictures])
    names = getattr(dataset, "classes", None) if labels else None
    names = [str(n) for n in names] if isinstance(names, (list, tuple)) else None
    return _set(images, np.array(labels) if labels else None, name, names)


def _picture(picture, what: str) -> Image.Image:
    if isinstance(picture, Image.Image):
        return picture
    if isinstance(picture, torch.Tensor):
        picture = picture.detach().cpu()
        if picture.is_floating_point() and picture.numel():
            if not (torch.isfinite(picture).all() and picture.min() >= 0 and picture.max() <= 1):
                raise ValueError(f"{what}: expected floats in [0, 1]: leave Normalize out of the transforms")
            picture = (picture * 255).round().to(torch.uint8)
        picture = picture.permute(1, 2, 0).numpy() if picture.ndim == 3 else picture.numpy()
    expected = "expected a PIL image, a tensor (1 or 3, H, W) or a uint8 array (H, W, 1 or 3)"
    if not isinstance(picture, np.ndarray):
        raise ValueError(f"{what}: {expected}, got {type(picture).__name__}")
    if (
        picture.dtype != np.uint8
        or picture.ndim not in (2, 3)
        or picture.shape[2:] not in ((), (1,), (3,))
        or not picture.size
    ):
        raise ValueError(f"{what}: {expected}, got {picture.dtype} {picture.shape}")
    return Image.fromarray(np.ascontiguousarray(picture.squeeze(-1) if picture.shape[2:] == (1,) else picture))


def _label(label, what: str) -> int:
    if isinstance(label, (torch.Tensor, np.ndarray)) and label.ndim == 0:
        label = label.item()
    if isinstance(label, bool) or not isinstance(label, numbers.Integral):
        got = f"{type(label).__name__} {tuple(label.shape)}" if hasattr(label, "shape") else repr(label)
        raise ValueError(f"{what}: expected a whole number as label, got {printable(got)}")
    return int(label)


def _set(images: np.ndarray, labels, name: str, class_names: list[str] | None) -> ImageSet:
    if labels is not None:
        labels = np.asarray(labels.cpu() if isinstance(labels, torch.Tensor) else labels)
        if labels.dtype.kind not in "iu" or labels.shape != (len(images),):
            raise ValueError(
                f"{name}: expected a whole number as label of each of the {len(images):,} pictures, "
                f"got {labels.dtype} {labels.shape}"
            )
        check_labels(labels, class_names, name)
    images.flags.writeable = False
    return ImageSet(name, "train", images, fingerprint(images), labels, class_names=class_names)
