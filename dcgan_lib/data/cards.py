"""One card a data set: what it is, whose it is, where it comes from. Facts only; loading is in `sources`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hub:
    """A set on the Hugging Face hub: repository, what we call its splits, and the columns that we read.

    `config` is the configuration where the repository has several; `gated` says what to do where it asks for a login.
    """

    repository: str
    splits: dict[str, str]
    image: str = "image"
    label: str | None = None
    config: str | None = None
    attributes: bool = False  # every boolean column is an attribute
    gated: str | None = None


@dataclass(frozen=True)
class Card:
    """What a reader should know before using a set. `torchvision` names the class that knows its files.

    A set with neither `torchvision` nor `hub` is read from NAME.npz, or a folder NAME, in DCGAN_DATA.
    """

    title: str
    size: str
    licence: str
    source: str
    used_for: str
    image_size: int  # what `load` gives unless asked for another
    channels: int = 3
    splits: tuple[str, ...] = ("train", "test")
    torchvision: str | None = None
    downloads: bool = True  # whether torchvision fetches it
    hub: Hub | None = None


_CELEBA = (
    "non-commercial research only, derived data too (CelebA agreement); no portion of the set may be published: real "
    "faces are shown as blocks"
)

CARDS: dict[str, Card] = {
    "digits": Card(
        "Optical recognition of handwritten digits",
        "1,797 of 8x8, grey, 10 classes",
        "CC BY 4.0 (UCI repository)",
        "https://archive.ics.uci.edu/dataset/80, shipped inside scikit-learn",
        "embedded default: tests and first steps, needs no download",
        32,
        1,
        splits=("train",),
    ),
    "mnist": Card(
        "MNIST",
        "60,000 + 10,000 of 28x28, grey, 10 classes",
        "CC BY-SA 3.0",
        "http://yann.lecun.com/exdb/mnist",
        "paper, supplement (conditional model, C10); Columbia, McGill and Shanghai reproductions",
        28,
        1,
        torchvision="MNIST",
    ),
    "fashionmnist": Card(
        "Fashion-MNIST",
        "60,000 + 10,000 of 28x28, grey, 10 classes",
        "MIT",
        "https://github.com/zalandoresearch/fashion-mnist",
        "your own trials: MNIST's shape, harder pictures",
        28,
        1,
        torchvision="FashionMNIST",
    ),
    "cifar10": Card(
        "CIFAR-10",
        "50,000 + 10,000 of 32x32, RGB, 10 classes",
        "none stated; free for research with citation",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        "paper, section 5.1 (C2); Bombay and McGill reproductions",
        32,
        torchvision="CIFAR10",
    ),
    "cifar100": Card(
        "CIFAR-100",
        "50,000 + 10,000 of 32x32, RGB, 100 classes",
        "none stated; free for research with citation",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        "exercises: the protocol of C2 on more classes",
        32,
        torchvision="CIFAR100",
    ),
    "svhn": Card(
        "Street View House Numbers (cropped)",
        "73,257 + 26,032 + 531,131 (extra) of 32x32, RGB, 10 classes",
        "non-commercial use",
        "http://ufldl.stanford.edu/housenumbers",
        "paper, section 5.2 (C3, C4); Bombay reproduction",
        32,
        splits=("train", "test", "extra"),
        torchvision="SVHN",
        hub=Hub(
            "ufldl-stanford/svhn",
            {"train": "train", "test": "test", "extra": "extra"},
            label="label",
            config="cropped_digits",
        ),
    ),
    "stl10": Card(
        "STL-10",
        "5,000 + 8,000 + 100,000 (unlabeled) of 96x96, RGB, 10 classes",
        "none stated; pictures from ImageNet",
        "https://cs.stanford.edu/~acoates/stl10",
        "your own trials: learning from unlabelled pictures",
        96,
        splits=("train", "test", "unlabeled"),
        torchvision="STL10",
    ),
    "celeba": Card(
        "CelebA, aligned and cropped",
        "202,599 of 178x218, RGB, 40 attributes",
        _CELEBA,
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        "stand-in for the paper's 350,000 face boxes (C5, C8, C9), which were never released; McGill reproduction",
        64,
        splits=("train", "valid", "test"),
        torchvision="CelebA",
        hub=Hub(
            "flwrlabs/celeba",
            {"train": "train", "valid": "valid", "test": "test"},
            config="img_align+identity+attr",
            attributes=True,
        ),
    ),
    "lfw": Card(
        "Labeled Faces in the Wild",
        "13,233 of 250x250, RGB",
        "none stated; faces of real people: research only",
        "https://vis-www.cs.umass.edu/lfw",
        "Columbia reproduction (128 epochs)",
        64,
        splits=("train",),
        hub=Hub("logasja/lfw", {"train": "train"}, config="default"),
    ),
    "tinyimagenet": Card(
        "Tiny ImageNet",
        "100,000 + 10,000 of 64x64, RGB, 200 classes",
        "ImageNet's terms: non-commercial research",
        "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
        "stand-in for ImageNet-1k in C2; Bombay reproduction",
        64,
        hub=Hub("zh-plus/tiny-imagenet", {"train": "train", "test": "valid"}, label="label"),
    ),
    "imagenet32": Card(
        "ImageNet-1k at 32x32",
        "1,281,167 + 50,000 of 32x32, RGB, 1,000 classes",
        "ImageNet's terms: non-commercial research",
        "https://image-net.org (register), downsampled; gated on the hub: accept its terms there and log in",
        "paper, section 5.1: what its discriminator of C2 was trained on",
        32,
        hub=Hub(
            "benjamin-paine/imagenet-1k-32x32",
            {"train": "train", "test": "validation"},
            label="label",
            gated="the set is gated: accept its terms on its page while logged in, then `hf auth login`",
        ),
    ),
    "lsun_bedroom": Card(
        "LSUN bedrooms",
        "3,033,042 of 256 pixels on the short side, RGB (on the hub 287,968 + 15,157)",
        "none stated; research only",
        "https://github.com/fyu/lsun",
        "paper, section 4.1 (C1, C5, C6, C7); Innsbruck and McGill reproductions",
        64,
        torchvision="LSUN",
        downloads=False,
        hub=Hub("pcuenq/lsun-bedrooms", {"train": "train", "test": "test"}),
    ),
    "lsun_church_outdoor": Card(
        "LSUN churches",
        "126,227 of 256 pixels on the short side, RGB (on the hub 119,915 + 6,312)",
        "none stated; research only",
        "https://github.com/fyu/lsun",
        "McGill reproduction",
        64,
        torchvision="LSUN",
        downloads=False,
        hub=Hub("tglcourse/lsun_church_train", {"train": "train", "test": "test"}),
    ),
    "scenes": Card(
        "Intel image classification: natural scenes",
        "about 25,000 of 150x150, RGB, 6 classes (our copy: 10,899 of them)",
        "none stated by the publisher: private study only",
        "https://www.kaggle.com/datasets/puneet6060/intel-image-classification",
        "stand-in for LSUN where LSUN cannot be had: the second generator (C1, C7)",
        64,
        splits=("train",),
    ),
    "scenes_all": Card(
        "Intel image classification: natural scenes, with the unlabelled ones",
        "24,340 given at 64x64, RGB: 17,039 of 6 classes (labels 0 to 5) and 7,301 unlabelled (label 255)",
        "none stated by the publisher: private study only",
        "https://www.kaggle.com/datasets/puneet6060/intel-image-classification",
        "buildings and streets with windows (C7), unlabelled pictures for D",
        64,
        splits=("train",),
    ),
    "natural32": Card(
        "ImageNet pictures of 284 classes at 32x32",
        "157,044 of 32x32, RGB: Tiny ImageNet's 100,000, and the further classes of mini-ImageNet and Imagenette",
        "ImageNet's terms: non-commercial research",
        "https://image-net.org (register); the three selections are public, shuffled together",
        "stand-in for ImageNet-1k in C2: D's long training, and how many pictures it needs",
        32,
        splits=("train",),
    ),
    "anime": Card(
        "Drawn faces",
        "70,171 of 64x64, RGB (1,280 are exact repeats)",
        "none stated; drawings are their artists': private study only",
        "https://github.com/xiaohuiduan/cgan_anime_face",
        "other domains and data size; de-duplication (section 4.1.1)",
        64,
        splits=("train",),
    ),
    "fusions": Card(
        "Fused Pokemon",
        "24,318 given at 64x64 on white, RGB",
        "fan art; pictures are their artists' and The Pokemon Company's: private study only",
        "https://github.com/Aegide/custom-fusion-sprites",
        "Innsbruck reproduction (12,000 pictures, not released): as many drawn creatures and more",
        64,
        splits=("train",),
    ),
    "pokemon": Card(
        "Pokemon",
        "7,357 on the hub, several to a creature, RGB",
        "pictures are The Pokemon Company's: private study only",
        "https://huggingface.co/datasets/huggan/pokemon",
        "Innsbruck reproduction (12,000 pictures, not released)",
        64,
        splits=("train",),
        hub=Hub("huggan/pokemon", {"train": "train"}),
    ),
}
