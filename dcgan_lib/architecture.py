"""What a generator and its discriminator look like: one frozen dataclass (paper section 3).

Everything that the paper, its released code, the ports and the student reproductions vary is a field of
`Architecture`. `models` builds the networks from it; nothing here needs PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace

from .checks import Choice, Flag, Number, Numbers, checked, choose, setting, whole

ACTIVATIONS = ("relu", "leaky_relu", "elu", "tanh", "sigmoid", "linear")
MIN_SIZE, MAX_SIZE = 16, 256
LATER = ("global_average_pooling",)  # fields that weights, runs and results from before them do not name


@dataclass(frozen=True)
class Architecture:
    """What a generator and its discriminator look like.

    `widths` are the channels of the discriminator's convolutions from the image inwards; the generator mirrors them.
    `strides` belong to the same layers (None: all 2). Odd kernels halve a size upwards, even ones downwards, and the
    generator retraces the same sizes, so every image size from 16 to 256 works, powers of two or not. Without `widths`
    both are dense layers only: the GAN that the paper's table 3 compares with.
    """

    image_size: int = setting(64, Number(int, low=MIN_SIZE, high=MAX_SIZE), "side of the pictures in pixels")
    channels: int = setting(3, Choice((1, 3), "1 (grey) or 3 (RGB)"), "1 grey, 3 RGB")
    latent_dim: int = setting(100, Number(int, low=1, high=2**16), "length of z")
    prior: str = setting(
        "uniform", Choice(("uniform", "normal")), "what z is drawn from: uniform(-1, 1) or normal(0, 1)"
    )
    widths: tuple[int, ...] = setting(
        (128, 256, 512, 1024),
        Numbers(Number(int, low=1, high=2**14), least=0),
        "channels of D's convolutions, image side first; [] is a network of dense layers only",
    )
    strides: tuple[int, ...] | None = setting(
        None, Numbers(Number(int, low=1, high=2), optional=True), "of the same layers; none: all 2"
    )
    kernel_size: int = setting(5, Number(int, low=2, high=9), "of every convolution")
    dense_units: int | None = setting(
        None,
        Number(int, low=1, high=2**16, optional=True),
        "a fully connected hidden layer in both networks (the guidelines say: none)",
    )
    dense_layers: int = setting(1, Number(int, low=1, high=16), "how many of these, one behind the other")
    dense_norm: str = setting(
        "unit", Choice(("unit", "channel", "none")), "batch norm after G's dense layer: over its units, per channel"
    )
    norm: str = setting(
        "batch",
        Choice(("batch", "everywhere", "none", "generator", "discriminator")),
        "batch norm in both networks; everywhere: also on G's output and D's first layer, which the paper warns of; "
        "or in one network alone",
    )
    norm_affine: bool = setting(True, Flag(), "gain and bias of batch norm")
    norm_eps: float = setting(1e-8, Number(above=0, high=1), "the released code's; ports use PyTorch's 1e-5")
    generator_activation: str = setting("relu", Choice(ACTIVATIONS), "of G's hidden layers")
    discriminator_activation: str = setting("leaky_relu", Choice(ACTIVATIONS), "of D's; slope 0.2")
    output_activation: str = setting("tanh", Choice(ACTIVATIONS), "of G's pictures")
    downsample: str = setting("stride", Choice(("stride", "max_pool", "avg_pool")), "how D halves a size")
    upsample: str = setting("stride", Choice(("stride", "nearest")), "how G doubles it")
    global_average_pooling: bool = setting(
        False,
        Flag(),
        "D's last maps are averaged over their positions before the layers behind them (stabler, slower: section 3)",
    )
    classes: int = setting(
        0, Number(int, low=0, high=2**12), "labels that join the input of every layer of both networks; 0: none"
    )
    unit_range: bool = setting(
        False, Flag(), "pixels are in [0, 1] inside both networks, as in the released MNIST ones; outside in [-1, 1]"
    )

    def __post_init__(self):
        checked(self)
        if not self.widths and not self.dense_units:
            raise ValueError("an architecture without convolutions (no widths) needs dense_units, e.g. 1024")
        if not self.widths and self.norm == "everywhere":
            raise ValueError("norm 'everywhere' adds batch norm to convolutions, and there are none (no widths)")
        if not self.widths and self.global_average_pooling:
            raise ValueError("global_average_pooling averages D's last maps, and there are none (no widths)")
        if self.strides is not None and len(self.strides) != len(self.widths):
            raise ValueError(f"strides must be {len(self.widths)} ones or twos, one for each width, got {self.strides}")
        if self.kernel_size % 2 == 0 and 1 in self.layer_strides:
            raise ValueError(f"a stride of 1 needs an odd kernel_size, got {self.kernel_size}")
        if (self.downsample, self.upsample) != ("stride", "stride") and self.kernel_size % 2 == 0:
            raise ValueError(f"pooling and nearest upsampling need an odd kernel_size, got {self.kernel_size}")
        if self.sizes[-1] < 2:
            raise ValueError(
                f"{len(self.widths)} layers leave {self.sizes[-1]} pixel of an image of {self.image_size}: "
                "take fewer widths or a larger image_size"
            )
        if self.unit_range and self.output_activation == "tanh":  # its [-1, 1] would be stretched to [-3, 1]
            raise ValueError("unit_range is for pictures from 0 to 1: it needs output_activation 'sigmoid', not 'tanh'")

    @property
    def layer_strides(self) -> tuple[int, ...]:
        return self.strides or (2,) * len(self.widths)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Side in pixels of the image and of each convolution's output, e.g. (64, 32, 16, 8, 4)."""
        return _sizes(self.image_size, self.layer_strides, self.kernel_size)

    @property
    def padding(self) -> int:
        return (self.kernel_size - 1) // 2

    @property
    def feature_count(self) -> int:
        """Length of the paper's feature vector: every convolution's maps, max-pooled to 4x4 (section 5.1)."""
        return 4 * 4 * sum(self.widths)

    def resized(self, image_size: int) -> Architecture:
        """The same architecture for another image size; its innermost grid stays less than twice as large.

        A doubling adds a layer on the image's side with half its neighbour's width (as the 128-pixel networks of the
        Innsbruck reproduction do), but no less than 16 where the neighbour has as many; a halving drops the outermost.
        """
        image_size = whole(image_size, "image_size", MIN_SIZE, MAX_SIZE)
        if not self.widths:
            return replace(self, image_size=image_size)
        widths, strides = list(self.widths), list(self.layer_strides)
        grid = self.sizes[-1]
        while _sizes(image_size, strides, self.kernel_size)[-1] >= 2 * grid:
            widths.insert(0, max(widths[0] // 2, min(widths[0], 16)))
            strides.insert(0, 2)
        while len(widths) > 1 and _sizes(image_size, strides, self.kernel_size)[-1] < min(grid, 4):
            widths.pop(0)
            strides.pop(0)
        kept = tuple(strides) if self.strides else None
        return replace(self, image_size=image_size, widths=tuple(widths), strides=kept)

    def to_dict(self) -> dict:
        """Values that JSON knows, by field; one of LATER only where it is not the default."""
        return {k: v for k, v in self._values().items() if k not in LATER or v != getattr(type(self), k)}

    def differences(self, other: Architecture) -> dict:
        """The fields in which the two differ, with the values that this one has, as in `to_dict`."""
        others = other._values()
        return {k: v for k, v in self._values().items() if v != others[k]}

    def _values(self) -> dict:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict) -> Architecture:
        """The inverse of `to_dict`. Raises ValueError for an unknown field or a value out of range."""
        for name in values:
            choose(name, {f.name for f in fields(cls)}, "architecture field")
        return cls(**values)


def _sizes(image_size: int, strides: Sequence[int], kernel_size: int) -> tuple[int, ...]:
    sizes = [image_size]
    for stride in strides:
        # floor for even kernels (padding k/2 - 1), ceil for odd ones (padding (k - 1)/2); pooling takes the ceil
        sizes.append(sizes[-1] if stride == 1 else (sizes[-1] + kernel_size % 2) // 2)
    return tuple(sizes)


ARCHITECTURES = {
    # The paper's figure 1 and the released faces/train_uncond_dcgan.py.
    "paper64": Architecture(),
    # The PyTorch tutorial's network, after soumith/dcgan.torch: 4x4 kernels, half the widths, BN per channel.
    "tutorial64": Architecture(
        prior="normal", widths=(64, 128, 256, 512), kernel_size=4, dense_norm="channel", norm_eps=1e-5
    ),
    # The released imagenet/load_pretrained.py: the features of section 5.1 come from its discriminator.
    "imagenet32": Architecture(
        image_size=32, latent_dim=256, widths=(128, 128, 256, 256, 512, 512), strides=(1, 2, 1, 2, 1, 2), kernel_size=3
    ),
    # The released svhn/svhn_semisup_analysis.py; the folder's name says that z was Gaussian.
    "svhn32": Architecture(image_size=32, prior="normal", widths=(64, 128, 256)),
    # After the released mnist/train_cond_dcgan.py, without the labels. As released: BN has no gain and no bias. Not as
    # released: there images are in [0, 1] behind a sigmoid, here in [-1, 1] behind tanh, like all others.
    "mnist28": Architecture(image_size=28, channels=1, widths=(64, 128), dense_units=1024, norm_affine=False),
    # The same file as it is: labels, a sigmoid, and a D that sees [0, 1], so that its padding is black, not grey.
    "mnist28_conditional": Architecture(
        image_size=28,
        channels=1,
        widths=(64, 128),
        dense_units=1024,
        norm_affine=False,
        output_activation="sigmoid",
        classes=10,
        unit_range=True,
    ),
    # The re-implementation of Peintner, Gugglberger and Kupek: paper64 without BN after the dense layer, two at 128.
    "keras64": Architecture(dense_norm="none"),
    "keras128": Architecture(image_size=128, widths=(64, 128, 256, 512, 1024), dense_norm="none"),
    "keras128_wide": Architecture(image_size=128, widths=(128, 256, 512, 1024, 2048), dense_norm="none"),
    # Small enough for tests and for a first minute on a laptop.
    "tiny32": Architecture(
        image_size=32, latent_dim=32, widths=(16, 32, 64), kernel_size=4, dense_norm="channel", norm_eps=1e-5
    ),
}


def architecture(name: str | Architecture, **changes) -> Architecture:
    """The named architecture with some fields changed.

    A changed `image_size` adds or drops layers (see `Architecture.resized`); given together with `widths` it is
    taken as it stands. Raises ValueError for an unknown name or field (with the near ones) or a value out of range.
    """
    if not isinstance(name, Architecture):
        name = ARCHITECTURES[choose(name, ARCHITECTURES, "architecture")]
    for field in changes:
        choose(field, {f.name for f in fields(Architecture)}, "architecture field")
    if changes.get("image_size", name.image_size) != name.image_size and "widths" not in changes:
        name = name.resized(changes["image_size"])
    return replace(name, **changes)


def receptive_fields(arch: Architecture) -> list[int]:
    """Side in image pixels that one unit sees, for each of the discriminator's convolutions.

    A layer adds (kernel - 1) times the product of the strides before it.
    """
    field, step, fields_ = 1, 1, []
    for stride in arch.layer_strides:
        field += (arch.kernel_size - 1) * step
        fields_.append(field)
        if stride == 2 and arch.downsample != "stride":
            field += step  # the 2x2 pool behind it, seen by the next layer
        step *= stride
    return fields_
