"""The generator and the discriminator (paper section 3), built from an `Architecture`.

There is one Generator class and one Discriminator class. Training, data and files are elsewhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import checks
from .architecture import ARCHITECTURES, Architecture, architecture, receptive_fields
from .checks import choose
from .convolution import Conv2d, ConvTranspose2d

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Discriminator",
    "Generator",
    "architecture",
    "build",
    "calibrate",
    "classifier",
    "mode",
    "overlap",
    "parameter_count",
    "receptive_fields",
    "sample",
    "sample_labels",
    "sample_latent",
    "shapes",
]

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),  # slope 0.2: paper section 4
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "linear": nn.Identity,
}


def build(name: str | Architecture = "paper64", *, seed: int | None = None, **changes):
    """Build `(generator, discriminator)` with the released initial weights.

    `name` is a key of ARCHITECTURES or an Architecture, `changes` are fields of it to replace, `seed` makes the
    initial weights reproducible; without one, one number is drawn from torch's own generator. Both networks are on the
    CPU in float32, in training mode.
    """
    arch, rng = architecture(name, **changes), _weights_rng(seed)
    with torch.random.fork_rng(devices=[]):  # PyTorch's own initial weights, which `initialise` replaces
        generator, discriminator = Generator(arch), Discriminator(arch)
    for network in (generator, discriminator):
        initialise(network, rng)
    return generator, discriminator


def _weights_rng(seed: int | None) -> torch.Generator:
    """Without a seed one is drawn from torch's own generator, so that `torch.manual_seed` decides it."""
    if seed is None:
        seed = int(torch.randint(2**63 - 1, ()))
    return _rng(seed)


def initialise(network: nn.Module, rng: torch.Generator) -> None:
    """Weights N(0, 0.02), batch-norm gains N(1, 0.02) and biases 0 (paper section 4; the gains: released code)."""
    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, 0.02, generator=rng)
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) and module.affine:
            nn.init.normal_(module.weight, 1.0, 0.02, generator=rng)
            nn.init.zeros_(module.bias)


def _norm(arch: Architecture, network: str, width: int, kind: str = "channel") -> nn.Module:
    """Batch norm of a layer of `network`, "generator" or "discriminator"; nothing where `arch.norm` leaves it out."""
    if kind == "none" or arch.norm not in ("batch", "everywhere", network):
        return nn.Identity()
    layer = nn.BatchNorm1d if kind == "unit" else nn.BatchNorm2d
    return layer(width, eps=arch.norm_eps, affine=arch.norm_affine)


def _dense_hidden(
    arch: Architecture, network: str, inputs: int, activation: str, bare: bool = False
) -> tuple[nn.Sequential, int]:
    """The hidden layers of `dense_units` and their width; empty, with the width unchanged, unless asked for.

    Three modules a layer: weights, batch norm (not on the first one where `bare`), activation. Widths count no labels:
    every layer takes `arch.classes` more inputs than what is before it.
    """
    if not arch.dense_units:
        return nn.Sequential(), inputs
    modules = []
    for i in range(arch.dense_layers):
        layer = nn.Linear(inputs + arch.classes, arch.dense_units, bias=False)
        norm = _norm(arch, network, arch.dense_units, "none" if bare and i == 0 else "unit")
        modules += [layer, norm, ACTIVATIONS[activation]()]
        inputs = arch.dense_units
    return nn.Sequential(*modules), inputs


def _dense_maps(dense: nn.Sequential, x: Tensor, one_hot: Tensor | None) -> list[Tensor]:
    """What leaves each dense hidden layer, (N, dense_units); the labels join the input of each."""
    maps, modules = [], list(dense)
    for layer, norm, activation in zip(modules[::3], modules[1::3], modules[2::3], strict=True):
        x = activation(norm(layer(_joined(x, one_hot))))
        maps.append(x)
    return maps


def _one_hot(labels: Tensor | None, n: int, arch: Architecture) -> Tensor | None:
    """Labels (n,) as float32 (n, classes) of 0 and 1; None where the architecture has no classes."""
    if not arch.classes:
        if labels is not None:
            raise ValueError("this network has no classes (arch.classes is 0): call it without labels")
        return None
    want = f"expected labels ({n},), int64 from 0 to {arch.classes - 1}"
    if not isinstance(labels, Tensor):
        raise ValueError(f"{want}, got {'none' if labels is None else type(labels).__name__}")
    if labels.dtype != torch.int64 or labels.shape != (n,):
        raise ValueError(f"{want}, got {labels.dtype} {tuple(labels.shape)}")
    # A look at the values would make a GPU wait, and an export to ONNX has none.
    if labels.device.type == "cpu" and not torch.compiler.is_compiling() and labels.numel():
        low, high = (v.item() for v in torch.aminmax(labels))
        if low < 0 or high >= arch.classes:
            raise ValueError(f"{want}, got some from {low} to {high}")
    return (labels[:, None] == torch.arange(arch.classes, device=labels.device)).float()


def _joined(x: Tensor, one_hot: Tensor | None) -> Tensor:
    """x (N, C) or (N, C, H, W) with the labels behind its channels, at every position (mnist/train_cond_dcgan.py)."""
    if one_hot is None:
        return x
    one_hot = one_hot.to(x.dtype)
    if x.ndim == 4:  # channels last in memory, as x is in training: else the result is not
        one_hot = one_hot[:, None, None].expand(-1, *x.shape[2:], -1).contiguous().permute(0, 3, 1, 2)
    return torch.cat([x, one_hot], 1)  # (N, C + classes, …)


class Generator(nn.Module):
    """z → image: a dense layer to a small grid, then up-convolutions that double it (paper section 3, figure 1).

    Without `arch.widths` that dense layer gives the picture.
    No biases before or without batch norm, as released, and no batch norm on the output, unless `arch.norm` says
    "everywhere". With `arch.classes` the label joins the input of every layer as that many more channels of 0 and 1.
    """

    def __init__(self, arch: Architecture):
        super().__init__()
        self.arch = arch
        grid, width, norm, activation = arch.sizes[-1], arch.channels, "none", arch.output_activation
        if arch.widths:
            width, norm, activation = arch.widths[-1], arch.dense_norm, arch.generator_activation
        self.dense, inputs = _dense_hidden(arch, "generator", arch.latent_dim, arch.generator_activation)
        self.project = nn.Linear(inputs + arch.classes, width * grid * grid, bias=False)
        self.project_norm = _norm(arch, "generator", width * (grid * grid if norm == "unit" else 1), norm)
        self.project_activation = ACTIVATIONS[activation]()
        # Layer i undoes the discriminator's layer i, the innermost first.
        self.blocks = nn.ModuleList(self._block(i) for i in reversed(range(len(arch.widths))))

    def _block(self, i: int) -> nn.Sequential:
        arch, last = self.arch, i == 0
        width_in, width_out = arch.widths[i] + arch.classes, arch.channels if last else arch.widths[i - 1]
        small, large, stride = arch.sizes[i + 1], arch.sizes[i], arch.layer_strides[i]
        if arch.upsample == "nearest" and stride == 2:
            up = [
                nn.Upsample(size=(large, large), mode="nearest"),
                nn.Conv2d(width_in, width_out, arch.kernel_size, padding=arch.padding, bias=False),
            ]
        else:
            smallest = (small - 1) * stride - 2 * arch.padding + arch.kernel_size
            up = [
                ConvTranspose2d(
                    width_in,
                    width_out,
                    arch.kernel_size,
                    stride,
                    arch.padding,
                    output_padding=large - smallest,
                    bias=False,
                )
            ]
        if last:
            everywhere = arch.norm == "everywhere"  # files of others have no place for it
            norm = [_norm(arch, "generator", width_out)] if everywhere else []
            return nn.Sequential(*up, *norm, ACTIVATIONS[arch.output_activation]())
        return nn.Sequential(*up, _norm(arch, "generator", width_out), ACTIVATIONS[arch.generator_activation]())

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """latent (N, latent_dim) → images (N, channels, image_size, image_size) in [-1, 1] (behind tanh).

        `labels` (N,), int64 from 0 to classes - 1, belong to an architecture with classes and to no other. Behind a
        sigmoid pictures are in [0, 1]; with `arch.unit_range` they are stretched to [-1, 1].
        Raises ValueError for another shape and for labels that do not fit (values are looked at on the CPU only).
        """
        arch, grid = self.arch, self.arch.sizes[-1]
        if latent.ndim != 2 or latent.shape[1] != arch.latent_dim:
            raise ValueError(f"expected latents (N, {arch.latent_dim}), got {tuple(latent.shape)}")
        one_hot = _one_hot(labels, latent.shape[0], arch)  # len() would fix N in an export
        x = [latent, *_dense_maps(self.dense, latent, one_hot)][-1]
        x = self.project(_joined(x, one_hot))  # (N, width * grid * grid)
        if arch.dense_norm == "unit":
            x = self.project_norm(x).unflatten(1, (-1, grid, grid))  # (N, width, grid, grid)
        else:
            x = self.project_norm(x.unflatten(1, (-1, grid, grid)))
        x = self.project_activation(x)
        for block in self.blocks:
            x = block(_joined(x, one_hot))  # doubles the side (stride 2) and narrows the channels
        return 2 * x - 1 if arch.unit_range else x


class Discriminator(nn.Module):
    """image → logit of 'real': strided convolutions with LeakyReLU, no batch norm on the first (paper section 3).

    `arch.norm` "everywhere" puts one there, too. With `arch.global_average_pooling` what follows the convolutions sees
    the mean of each map. With `arch.classes` the label joins the input of every layer, as in the generator. With
    `arch.unit_range` the first convolution sees (images + 1) / 2, so that its padding is black.
    """

    def __init__(self, arch: Architecture):
        super().__init__()
        self.arch = arch
        self.blocks, self.pools = nn.ModuleList(), nn.ModuleList()
        width_in = arch.channels
        for i, (width, stride) in enumerate(zip(arch.widths, arch.layer_strides, strict=True)):
            pooled = stride == 2 and arch.downsample != "stride"
            inputs = width_in + arch.classes
            convolution = Conv2d(inputs, width, arch.kernel_size, 1 if pooled else stride, arch.padding, bias=False)
            norm = _norm(arch, "discriminator", width, "none" if i == 0 and arch.norm != "everywhere" else "channel")
            self.blocks.append(nn.Sequential(convolution, norm, ACTIVATIONS[arch.discriminator_activation]()))
            pool = nn.MaxPool2d if arch.downsample == "max_pool" else nn.AvgPool2d
            self.pools.append(pool(2, ceil_mode=True) if pooled else nn.Identity())
            width_in = width
        inputs = width_in * (1 if arch.global_average_pooling else arch.sizes[-1] ** 2)
        activation, bare = arch.discriminator_activation, not arch.widths
        self.dense, inputs = _dense_hidden(arch, "discriminator", inputs, activation, bare)
        self.head = nn.Linear(inputs + arch.classes, 1, bias=False)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """images (N, channels, image_size, image_size) in [-1, 1] → logits (N,); sigmoid(logit) is D's probability.

        `labels` (N,), int64 from 0 to classes - 1, belong to an architecture with classes and to no other.
        Raises ValueError for another shape, integers, values far outside the range and labels that do not fit (values
        are looked at on the CPU only).
        """
        return self._run(images, labels)[0]

    def feature_maps(self, images: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The activations after each LeakyReLU: (N, width, side, side) a convolution, from the image inwards.

        Dense hidden layers, where the architecture has any, add (N, dense_units) each.
        """
        return self._run(images, labels)[1]

    def _run(self, images: Tensor, labels: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        self._check(images)
        one_hot = _one_hot(labels, images.shape[0], self.arch)
        maps, x = [], (images + 1) / 2 if self.arch.unit_range else images
        for block, pool in zip(self.blocks, self.pools, strict=True):
            x = block(_joined(x, one_hot))  # halves the side where strided
            maps.append(x)
            x = pool(x)  # halves it where pooled instead
        if self.arch.global_average_pooling:
            x = x.mean((2, 3), keepdim=True)  # (N, width, 1, 1)
        x = x.flatten(1)  # (N, width * grid * grid), of averages (N, width)
        hidden = _dense_maps(self.dense, x, one_hot)  # (N, dense_units) each
        logits = self.head(_joined([x, *hidden][-1], one_hot))  # (N, 1), of a classifier (N, outputs)
        return logits.squeeze(1) if isinstance(self.head, nn.Linear) else logits, maps + hidden

    def _check(self, images: Tensor) -> None:
        arch = self.arch
        want = f"expected images (N, {arch.channels}, {arch.image_size}, {arch.image_size}) in [-1, 1]"
        if images.ndim != 4 or tuple(images.shape[1:]) != (arch.channels, arch.image_size, arch.image_size):
            raise ValueError(f"{want}, got {tuple(images.shape)}")
        if not images.is_floating_point():
            raise ValueError(f"{want} as floats, got {images.dtype}: use data.to_float")
        bounded = arch.output_activation in ("tanh", "sigmoid")  # else generated pictures may go anywhere
        if bounded and images.device.type == "cpu" and not images.requires_grad and images.numel():
            low, high = (v.item() for v in torch.aminmax(images.detach()))
            if high > 3 or low < -3:  # room for guided backpropagation and noise; 0 … 255 is the usual slip
                raise ValueError(f"{want}, got values from {low:.3g} to {high:.3g}: use data.to_float")


def classifier(arch: str | Architecture, outputs: int, dropout: float = 0.0, seed: int | None = None) -> Discriminator:
    """D with a linear layer to `outputs` in place of the one to 'real': images (N, C, H, W) → logits (N, outputs).

    Raises TypeError or ValueError for outputs below 1, and for an architecture with classes, whose D has to be told
    what is to be found.
    """
    checks.whole(outputs, "outputs", 1)
    if architecture(arch).classes:
        raise ValueError("a classifier cannot be told the class: take an architecture with classes=0")
    _, network = build(arch, seed=seed)
    with torch.random.fork_rng(devices=[]):
        network.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(network.head.in_features, outputs))
    initialise(network.head, _weights_rng(seed))
    nn.init.zeros_(network.head[1].bias)
    return network


def parameter_count(network: nn.Module, frozen: bool = False) -> int:
    """Trainable parameters: weights, and batch-norm gains and biases; with `frozen` those that are frozen, too."""
    return sum(p.numel() for p in network.parameters() if frozen or p.requires_grad)


def sample_latent(n: int, arch: str | Architecture, seed: int | torch.Generator = 0) -> Tensor:
    """Draw n latents (n, latent_dim) from the architecture's prior, on the CPU, so that a seed means one picture.

    `arch` is an Architecture or the name of one. Raises TypeError or ValueError for what is neither, an n below 0, or a
    seed that is no whole number of 64 bits and no torch.Generator of the CPU.
    """
    if not isinstance(arch, (str, Architecture)):
        raise TypeError(f"expected an Architecture or its name, got {type(arch).__name__}: a network has it as .arch")
    shape = checks.whole(n, "n", 0), architecture(arch).latent_dim
    rng = _rng(seed)
    if architecture(arch).prior == "normal":
        return torch.randn(shape, generator=rng)
    return torch.rand(shape, generator=rng) * 2 - 1


def sample_labels(n: int, classes: int, seed: int | torch.Generator = 0) -> Tensor:
    """Draw n labels (n,), int64 from 0 to classes - 1, each as likely as the others, on the CPU.

    For as many of each class: `torch.arange(n) % classes`. Raises as `sample_latent`.
    """
    size = (checks.whole(n, "n", 0),)
    return torch.randint(checks.whole(classes, "classes", 1), size, generator=_rng(seed))


def _rng(seed: int | torch.Generator) -> torch.Generator:
    if not isinstance(seed, torch.Generator):
        return torch.Generator().manual_seed(checks.whole(seed, "seed", -(2**63), 2**64 - 1))
    if seed.device.type != "cpu":
        raise ValueError(f"latents and labels are drawn on the CPU, got a torch.Generator on {seed.device}")
    return seed


@contextlib.contextmanager
def mode(network: nn.Module, training: bool) -> Iterator[None]:
    """All modules of a network in training or in eval mode; afterwards each as it was."""
    before = {module: module.training for module in network.modules()}
    network.train(training)
    try:
        yield
    finally:
        for module, was in before.items():
            module.training = was


@torch.no_grad()
def sample(
    generator: Generator,
    latent: Tensor,
    statistics: str = "running",
    batch_size: int = 128,
    labels: Tensor | None = None,
) -> Tensor:
    """Images (N, C, H, W) in [-1, 1], float32 on the CPU, for latents (N, latent_dim), in near-equal batches.

    What a linear or ReLU output draws beyond that is cut off, as any file or screen would.
    A generator of an architecture with classes also takes `labels` (N,), int64.
    `statistics` says what batch norm uses: "running" averages, so that a picture depends on its z and on nothing else,
    or those of the "batch", as the released code does, so that it also depends on its neighbours: then no batch has
    fewer than 2. Weights and modes stay as they were.
    Raises TypeError for what is no generator or no tensor, ValueError for latents of another shape or with NaN, a
    `batch_size` that `statistics` cannot have, labels that do not fit, and weights that give NaN.
    """
    if not isinstance(generator, nn.Module) or isinstance(generator, Discriminator):
        raise TypeError(f"expected a Generator, got {type(generator).__name__}: checkpoints.load(…)[0] is one")
    choose(statistics, ("running", "batch"), "statistics")
    if not isinstance(latent, Tensor):
        raise TypeError(f"expected latents as a float tensor (N, latent_dim), got {type(latent).__name__}")
    if latent.ndim != 2 or not latent.is_floating_point():
        raise ValueError(f"expected float latents (N, latent_dim), got {latent.dtype} {tuple(latent.shape)}")
    if not torch.isfinite(latent).all():
        raise ValueError("the latents hold NaN or infinite numbers")
    if isinstance(generator, Generator):
        _one_hot(labels.cpu() if isinstance(labels, Tensor) else labels, len(latent), generator.arch)  # all at once
    by_batch = statistics == "batch"
    checks.whole(batch_size, f"batch_size with {statistics} statistics", 2 if by_batch else 1)
    if by_batch and len(latent) < 2:
        raise ValueError("batch statistics need at least 2 latents: take statistics='running' for one picture")
    chunks = -(-len(latent) // batch_size) or 1
    if by_batch:
        chunks = min(chunks, len(latent) // 2)  # one by itself would be normalised to nothing, and be black
    weight = next(generator.parameters())
    kept = {k: v.clone() for k, v in generator.named_buffers()}
    inputs = [(z.to(weight.device, weight.dtype),) for z in latent.tensor_split(chunks)]
    if labels is not None:
        inputs = [(*z, y.to(weight.device)) for z, y in zip(inputs, labels.tensor_split(chunks), strict=True)]
    try:
        with mode(generator, training=by_batch):
            parts = [generator(*batch).float().cpu() for batch in inputs]
    finally:
        for name, buffer in generator.named_buffers():  # batch statistics also moved the averages
            buffer.copy_(kept[name])
    images = torch.cat(parts).contiguous()
    if images.isnan().any():
        raise ValueError("the generator's pictures are NaN: its weights or batch-norm averages hold NaN or infinity")
    return images.clamp_(-1, 1)  # an output without bounds goes beyond what a picture can be


@torch.no_grad()
def calibrate(network: nn.Module, batches) -> None:
    """Set batch norm's running statistics to the plain mean of those of `batches` (inputs of the network).

    A batch is a tensor, or a tuple or list of the network's inputs: (latent or images, labels).
    The averages kept while training trail the weights; the released SVHN script averages over one pass with the
    weights at rest, as here.
    Raises ValueError, and leaves the statistics as they were, for no batches or where the averages become NaN.
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"expected a network to calibrate, got {type(network).__name__}")
    norms = [m for m in network.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))]
    momenta = [norm.momentum for norm in norms]
    kept = [{k: v.clone() for k, v in norm.named_buffers()} for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative mean
    count, done = 0, False
    try:
        with mode(network, training=True):
            for batch in batches:
                network(*batch) if isinstance(batch, (tuple, list)) else network(batch)
                count += 1
        if not count:
            raise ValueError("expected batches to calibrate with, got none")
        if not all(torch.isfinite(v).all() for norm in norms for v in norm.buffers()):
            raise ValueError("batch norm's averages became NaN or infinite: so are batches or weights")
        done = True
    finally:
        for norm, momentum, before in zip(norms, momenta, kept, strict=True):
            norm.momentum = momentum
            for name, buffer in norm.named_buffers():
                if not done:
                    buffer.copy_(before[name])


def shapes(network: Generator | Discriminator) -> list[tuple[str, str, tuple[int, ...], int]]:
    """What flows through a network: rows (name, layer, output shape without N, trainable parameters) in order."""
    if not isinstance(network, (Generator, Discriminator)):
        raise TypeError(f"expected a Generator or a Discriminator, got {type(network).__name__}")
    rows, still = [], (nn.Identity, nn.Sequential)  # an empty Sequential stands for 'no dense layer'
    leaves = [(n, m) for n, m in network.named_modules() if not list(m.children()) and not isinstance(m, still)]

    def note(name, module):
        def hook(_, __, output):
            rows.append((name, type(module).__name__, tuple(output.shape[1:]), parameter_count(module)))

        return hook

    handles = [module.register_forward_hook(note(name, module)) for name, module in leaves]
    arch = network.arch
    shape = (2, arch.latent_dim) if isinstance(network, Generator) else (2, arch.channels, *[arch.image_size] * 2)
    try:
        with torch.no_grad(), mode(network, training=False):
            where = next(network.parameters()).device
            labels = torch.zeros(2, dtype=torch.int64, device=where) if arch.classes else None
            network(torch.zeros(shape, device=where), labels)
    finally:
        for handle in handles:
            handle.remove()
    return rows


def overlap(kernel_size: int, stride: int = 2, size: int = 16) -> Tensor:
    """How many kernel taps reach each output pixel of an up-convolution, (size, size): uneven means a checkerboard.

    Raises ValueError where no output padding gives that size, as of an even kernel with an odd stride.
    """
    checks.whole(kernel_size, "kernel_size", 1, 64)
    checks.whole(stride, "stride", 1, 64)
    checks.whole(size, "size", stride, 4096)
    small, padding = -(-size // stride), (kernel_size - 1) // 2
    more = size - ((small - 1) * stride - 2 * padding + kernel_size)
    if not 0 <= more < stride:
        raise ValueError(f"a kernel of {kernel_size} with stride {stride} does not give a side of {size}")
    ones, kernel = torch.ones(1, 1, small, small), torch.ones(1, 1, kernel_size, kernel_size)
    return F.conv_transpose2d(ones, kernel, stride=stride, padding=padding, output_padding=more)[0, 0]
