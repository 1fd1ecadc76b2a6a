"""A table of bad models, files and arguments: each is refused at once, in words that say what was expected.

A row is (what, call, error, words). `call` takes the scene `s`: small networks, a folder, and helpers that write files.
"""

import json
import re
import struct
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dcgan_lib import checkpoints, export, inspection, latent, models

NAN = float("nan")
BAD_FILE = checkpoints.CheckpointError


@pytest.fixture(scope="module")
def shared():
    g, d = models.build("tiny32", seed=0)
    models.calibrate(g, [models.sample_latent(32, g.arch)])
    images = torch.rand(16, 3, 32, 32) * 2 - 1
    models.calibrate(d, [images])
    broken, far = models.build("tiny32", seed=0)[0].eval(), models.build("tiny32", seed=0)[0].eval()
    with torch.no_grad():
        broken.blocks[1][0].weight[0, 0, 0, 0] = NAN
        far.project.weight[0] = 1e6
    excited = inspection.maximal_activations(d, images, 1, maps=[0], k=2, progress=False)
    return SimpleNamespace(
        g=g.eval(), d=d.eval(), broken=broken, far=far, z=models.sample_latent(6, g.arch), images=images,
        excited=excited, maps=torch.rand(4, 8, 4, 4), where=np.array([True, True, False, False]),
        classifier=models.classifier("tiny32", 3, seed=0),
    )  # fmt: skip


@pytest.fixture
def s(shared, tmp_path):
    """The shared networks, and files of this test's own."""
    scene = SimpleNamespace(**vars(shared), folder=tmp_path)
    scene.file = tmp_path / "w.safetensors"

    def header(change=None, tensors=None, kind="weights", **architecture):
        """The path of a whole file whose header, architecture or tensors were changed."""
        checkpoints.save(scene.file, shared.g, shared.d)
        arrays, about = load_file(scene.file), checkpoints.info(scene.file) | {"kind": kind}
        about["architecture"] |= architecture
        if change:
            about = change(about)
        arrays = tensors(arrays) if tensors else arrays
        save_file(arrays, scene.file, {"dcgan": about if isinstance(about, str) else json.dumps(about)})
        return scene.file

    def named(names):
        """The path of a classifier's file with these names."""
        about = {"kind": "classifier", "architecture": shared.classifier.arch.to_dict(), "about": {"names": names}}
        return checkpoints._write(scene.file, shared.classifier.state_dict(), about)

    def claims(text, body=b""):
        """The path of a file with this text as its safetensors header."""
        scene.file.write_bytes(struct.pack("<Q", len(text)) + text.encode() + body)
        return scene.file

    def without(*names):
        return lambda arrays: {k: v for k, v in arrays.items() if k not in names}

    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    def authors(change):
        """A folder like the authors' SVHN arrays, of zeros, after `change(folder)`."""
        arch = models.ARCHITECTURES["svhn32"]
        for part, network in (("gen", models.Generator(arch)), ("discrim", models.Discriminator(arch))):
            for i, p in enumerate(network.parameters(), 1):
                np.save(tmp_path / f"200_{part}_params.jl_{i:02d}.npy", np.zeros(p.T.shape if p.ndim == 2 else p.shape))
        change(tmp_path / "200_gen_params.jl_01.npy")
        return tmp_path

    scene.header, scene.claims, scene.without, scene.write, scene.authors = header, claims, without, write, authors
    scene.named = named
    return scene


def changed(name, **values):
    """A header whose entry `name` was replaced, dropped (None) or given other values."""
    return lambda about: {k: v for k, v in about.items() if k != name} | values


def set_to(name, value):
    return lambda arrays: arrays | {name: value}


ENTRY = '{"x": {"dtype": "F32", "shape": [%s], "data_offsets": [0, %d]}}'
WEIGHT = "generator.project.weight"  # (1024, 32)

FILES = [
    ("empty", lambda s: checkpoints.load(s.write("w.safetensors", "")), BAD_FILE, "cut short or no safetensors"),
    ("text", lambda s: checkpoints.load(s.write("w.safetensors", "hello " * 99)), BAD_FILE, "cut short or no"),
    ("a page instead of weights", lambda s: checkpoints.load(s.write("w.safetensors", "<html>" * 99)), BAD_FILE, "cut"),
    ("header claims 2^60 bytes", lambda s: checkpoints.load(s.write("w.safetensors", "\x00" * 7 + "\x10" + "{}")),
     BAD_FILE, "a header of"),
    ("header larger than any", lambda s: checkpoints.load(s.claims(" " * (checkpoints.MAX_HEADER + 1))), BAD_FILE,
     "a header of"),
    ("header is no JSON", lambda s: checkpoints.load(s.claims("{x")), BAD_FILE, "cut short"),
    ("header is a list", lambda s: checkpoints.load(s.claims("[1]")), BAD_FILE, "cut short"),
    ("header nested a hundred thousand times", lambda s: checkpoints.load(s.claims("[" * 100_000)), BAD_FILE, "cut"),
    ("tensor without offsets", lambda s: checkpoints.load(s.claims('{"x": {}}')), BAD_FILE, "cut short"),
    ("tensor is a number", lambda s: checkpoints.load(s.claims('{"x": 3}')), BAD_FILE, "cut short"),
    ("tensor of a terabyte", lambda s: checkpoints.load(s.claims(ENTRY % ("500000, 500000", 10**12))), BAD_FILE,
     "bytes,"),
    ("offsets beyond the file", lambda s: checkpoints.load(s.claims(ENTRY % ("4", 16), b"12345678")), BAD_FILE, "cut"),
    ("bytes behind the tensors", lambda s: checkpoints.load(s.claims(ENTRY % ("1", 4), b"1234more")), BAD_FILE, "cut"),
    ("metadata is a list", lambda s: checkpoints.load(s.claims('{"__metadata__": ["dcgan"]}')), BAD_FILE,
     "not of dcgan"),
    ("another library's", lambda s: checkpoints.load(s.claims('{"__metadata__": {"format": "pt"}}')), BAD_FILE,
     "not of dcgan_lib"),
    ("our header is no JSON", lambda s: checkpoints.load(s.header(lambda _: "{x")), BAD_FILE, "does not know"),
    ("our header is a list", lambda s: checkpoints.load(s.header(lambda _: "[1]")), BAD_FILE, "does not know"),
    ("our header is null", lambda s: checkpoints.load(s.header(lambda _: "null")), BAD_FILE, "does not know"),
    ("our header nested", lambda s: checkpoints.load(s.header(lambda _: "[" * 99_999)), BAD_FILE, "does not know"),
    ("no kind", lambda s: checkpoints.load(s.header(changed("kind"))), BAD_FILE, "does not know"),
    ("unknown kind", lambda s: checkpoints.load(s.header(kind="poem")), BAD_FILE, "kind 'poem'"),
    ("kind is a list", lambda s: checkpoints.load(s.header(kind=[])), BAD_FILE, "does not know"),
    ("about is text", lambda s: checkpoints.load(s.header(changed("about", about="x"))), BAD_FILE, "does not know"),
    ("a run's state", lambda s: checkpoints.load(s.header(kind="state")), BAD_FILE, "a run's state, expected weights"),
    ("weights as state", lambda s: checkpoints.load_state(s.header()), BAD_FILE,
     "holds weights, expected a run's state"),
    ("weights as classifier", lambda s: checkpoints.load_classifier(s.header()), BAD_FILE, "expected a classifier"),
    ("no architecture", lambda s: checkpoints.load(s.header(changed("architecture"))), BAD_FILE, "does not know"),
    ("architecture is a list", lambda s: checkpoints.load(s.header(changed("x", architecture=[]))), BAD_FILE,
     "does not know"),
    ("architecture is null", lambda s: checkpoints.load(s.header(changed("x", architecture=None))), BAD_FILE,
     "does not know"),
    ("unknown field", lambda s: checkpoints.load(s.header(attention=True)), BAD_FILE, "unknown architecture field"),
    ("a hundred thousand layers",
     lambda s: checkpoints.load(s.header(widths=[1] * 100_000, strides=[1] * 100_000, kernel_size=3)), BAD_FILE,
     "does not know: widths must be"),
    ("a hundred thousand strides", lambda s: checkpoints.load(s.header(strides=[1] * 100_000)), BAD_FILE, "strides m"),
    ("widths of a billion", lambda s: checkpoints.load(s.header(widths=[10**9] * 3)), BAD_FILE, "widths.0. must"),
    ("widths of 30 digits", lambda s: checkpoints.load(s.header(widths=[10**30] * 3)), BAD_FILE, "widths.0. must"),
    ("widths that would take 180 GB", lambda s: checkpoints.load(
        s.header(widths=[16384] * 3, kernel_size=9, strides=[1, 2, 2])), BAD_FILE,
     r"expected \([\d, ]*16384[\d, ]*\) of float32"),
    ("latents of 65,536", lambda s: checkpoints.load(s.header(latent_dim=65536)), BAD_FILE,
     r"project.weight: expected \(1024, 65536\) of float32, got \(1024, 32\)"),
    ("a dense layer of 65,536", lambda s: checkpoints.load(s.header(dense_units=65536)), BAD_FILE,
     "do not fit its architecture: lacks dense"),
    ("widths of text", lambda s: checkpoints.load(s.header(widths="many")), BAD_FILE, "does not know"),
    ("widths nested", lambda s: checkpoints.load(s.header(widths=[[16], [32], [64]])), BAD_FILE, "does not know"),
    ("widths not whole", lambda s: checkpoints.load(s.header(widths=[16.5, 32, 64])), BAD_FILE, "does not know"),
    ("widths below 1", lambda s: checkpoints.load(s.header(widths=[-16, 32, 64])), BAD_FILE, "does not know"),
    ("widths is a number", lambda s: checkpoints.load(s.header(widths=16)), BAD_FILE, "does not know"),
    ("strides nested", lambda s: checkpoints.load(s.header(strides=[[2], [2], [2]])), BAD_FILE, "does not know"),
    ("kernel as a float", lambda s: checkpoints.load(s.header(kernel_size=4.0)), BAD_FILE,
     "cannot be built|does not know"),
    ("prior is a list", lambda s: checkpoints.load(s.header(prior=["normal"])), BAD_FILE, "does not know"),
    ("image size of a billion", lambda s: checkpoints.load(s.header(image_size=10**9)), BAD_FILE, "does not know"),
    ("another image size", lambda s: checkpoints.load(s.header(image_size=64)), BAD_FILE, "do not fit"),
    ("lacks a weight", lambda s: checkpoints.load(s.header(tensors=s.without(WEIGHT))), BAD_FILE,
     "lacks project.weight"),
    ("one weight too many", lambda s: checkpoints.load(s.header(tensors=set_to("generator.x", torch.ones(1)))),
     BAD_FILE,
     "has x, which"),
    ("another shape", lambda s: checkpoints.load(s.header(tensors=set_to(WEIGHT, torch.ones(4)))), BAD_FILE,
     r"expected \(1024, 32\) of float32, got \(4,\)"),
    ("whole numbers", lambda s: checkpoints.load(s.header(tensors=set_to(WEIGHT, torch.ones(1024, 32).int()))),
     BAD_FILE,
     "of int32"),
    ("complex numbers", lambda s: checkpoints.load(
        s.header(tensors=set_to(WEIGHT, torch.ones(1024, 32, dtype=torch.complex64)))), BAD_FILE, "of complex64"),
    ("neither network", lambda s: checkpoints.load(s.header(tensors=lambda _: {"x": torch.ones(1)})), BAD_FILE,
     "neither"),
    ("NaN", lambda s: checkpoints.load(s.header(tensors=set_to(WEIGHT, torch.full((1024, 32), NAN)))), BAD_FILE,
     r"NaN or infinite numbers \(project.weight\)"),
    ("infinity", lambda s: checkpoints.load(s.header(tensors=set_to("discriminator.head.weight",
     torch.full((1, 1024), float("inf"))))), BAD_FILE, "head.weight"),
    ("NaN in an average", lambda s: checkpoints.load(s.header(tensors=set_to(
        "generator.blocks.0.1.running_var", torch.full((32,), NAN)))), BAD_FILE, "running_var"),
    ("classifier without outputs", lambda s: checkpoints.load_classifier(s.header(kind="classifier")), BAD_FILE,
     "has 0 outputs"),
    ("classifier with other names",
     lambda s: checkpoints.load_classifier(s.named(["a"])),
     BAD_FILE,
     "3 outputs and 1 names"),
    ("classifier with a number for names",
     lambda s: checkpoints.load_classifier(s.named(5)),
     BAD_FILE,
     "a list of names"),
]  # fmt: skip

PLACES = [
    ("a number", lambda s: checkpoints.load(7), TypeError, "a name or a path, got int"),
    ("None", lambda s: checkpoints.load(None), TypeError, "got NoneType"),
    ("no name", lambda s: checkpoints.load(""), ValueError, "a name or a path"),
    ("a NUL", lambda s: checkpoints.load("a\0b"), ValueError, "a name or a path"),
    ("a name of 5,000 letters", lambda s: checkpoints.load("x" * 5000), ValueError, "a name or a path"),
    ("a part of 300 letters", lambda s: checkpoints.load("runs/" + "x" * 300), ValueError, "a name or a path"),
    ("a mistyped run", lambda s: checkpoints.load("runs/mien"), FileNotFoundError, "it would be hf:runs/mien"),
    ("a mistyped path", lambda s: checkpoints.load("a/b/c"), FileNotFoundError, "no weights at a/b/c"),
    ("hub id without a name", lambda s: checkpoints.load("hf:x"), ValueError, "expected hf:owner/name"),
    ("hub id with dots", lambda s: checkpoints.load("hf:../x"), ValueError, "expected hf:owner/name"),
    ("hub id with a query", lambda s: checkpoints.load("hf:a/b?c"), ValueError, "expected hf:owner/name"),
    ("an empty folder", lambda s: checkpoints.load(s.folder), FileNotFoundError, "no folder of a run"),
    ("classifier is a number", lambda s: checkpoints.load_classifier(7), TypeError, "got int"),
    ("state is missing", lambda s: checkpoints.load_state(s.folder / "x"), FileNotFoundError, "x"),
    ("to a folder", lambda s: checkpoints.save(s.folder, s.g, None), OSError, "a folder has that name"),
    ("below a file", lambda s: checkpoints.save(s.write("f", "") / "w", s.g, None), OSError, "choose another place"),
    ("to no name", lambda s: checkpoints.write_bytes("", b""), ValueError, "a name or a path"),
]

WRITERS = [
    ("no network", lambda s: checkpoints.save(s.file, None, None), ValueError, "a generator, a discriminator or both"),
    ("networks swapped", lambda s: checkpoints.save(s.file, s.d, s.g), TypeError, "expected a Generator or None"),
    ("two architectures", lambda s: checkpoints.save(s.file, s.g, models.build("mnist28")[1]), ValueError, "one archi"),
    ("NaN", lambda s: checkpoints.save(s.file, s.broken, None), ValueError, "holds NaN"),
    ("too large for half precision", lambda s: checkpoints.save(s.file, s.far, None, dtype=torch.float16), ValueError,
     "generator.project.weight holds NaN or infinite numbers in torch.float16"),
    ("whole numbers", lambda s: checkpoints.save(s.file, s.g, None, dtype=torch.int8), ValueError, "expected dtype"),
    ("about as a list", lambda s: checkpoints.save(s.file, s.g, s.d, ["x"]), TypeError, "a dict that JSON can hold"),
    ("about a path", lambda s: checkpoints.save(s.file, s.g, s.d, {"from": s.folder}), TypeError, "JSON can hold"),
    ("a classifier as D", lambda s: checkpoints.save(s.file, None, s.classifier), ValueError, "save_classifier"),
    ("names of others", lambda s: checkpoints.save_classifier(s.file, s.classifier, {"names": ["a"]}), ValueError,
     "one for each of 3 outputs, got"),
    ("a number of names", lambda s: checkpoints.save_classifier(s.file, s.classifier, {"names": 3}), ValueError,
     "expected a list of names"),
    ("dropped maps", lambda s: checkpoints.save(s.file, inspection.without_maps(s.g, [0], 0), None), ValueError,
     "drops maps by a hook"),
    ("a lab of dropped maps", lambda s: export.lab(inspection.without_maps(s.g, [0], 0), s.folder / "lab"), ValueError,
     "drops maps by a hook"),
    ("another machine's device", lambda s: checkpoints.load("mnist", device="gpu"), ValueError, "unknown device 'gpu'"),
    ("no outputs", lambda s: models.classifier("tiny32", 0), ValueError, "outputs must be at least 1"),
    ("a word as seed", lambda s: models.build("tiny32", seed="a"), TypeError, "seed must be a whole number"),
    ("D as a classifier", lambda s: checkpoints.save_classifier(s.file, s.d, {}), TypeError, "models.classifier"),
    ("onnx of D", lambda s: export.onnx(s.d, s.file), TypeError, "expected a Generator to export"),
    ("onnx with NaN", lambda s: export.onnx(s.broken, s.file), BAD_FILE, "the generator holds NaN"),
    ("lab of a name", lambda s: export.lab("faces", s.file), TypeError, "expected a Generator"),
    ("lab with NaN", lambda s: export.lab(s.broken, s.folder / "lab"), BAD_FILE, "the generator holds NaN"),
    ("lab into a page", lambda s: export.lab(s.g, s.folder / "lab.html"), ValueError, "name the folder"),
    ("lab into a file", lambda s: export.lab(s.g, s.write("f", "")), ValueError, "name the folder"),
    ("title is a number", lambda s: export.lab(s.g, s.file.with_suffix(""), title=3), TypeError, "as text"),
    ("directions are a list", lambda s: export.lab(s.g, s.file.with_suffix(""), [s.z[0]]), TypeError, "name"),
    ("direction is a list", lambda s: export.lab(s.g, s.file.with_suffix(""), {"a": [0.0] * 32}), ValueError,
     "got list"),
    ("direction with NaN", lambda s: export.lab(s.g, s.file.with_suffix(""), {"a": s.z[0] * NAN}), ValueError, "NaN"),
    ("preset without C", lambda s: export.lab(s.g, s.file.with_suffix(""), {}, [{"name": "x", "plus": [("a", s.z)],
     "minus": [("b", s.z)]}]), ValueError, "A and C in plus"),
    ("preset of text", lambda s: export.lab(s.g, s.file.with_suffix(""), {}, ["x"]), ValueError, "a preset is"),
    ("preset of no exemplars", lambda s: export.lab(s.g, s.file.with_suffix(""), {}, [{"name": "x", "plus":
     [("a", s.z), ("c", s.z[:0])], "minus": [("b", s.z)]}]), ValueError, r"'c': expected \(n, 32\), got \(0, 32\)"),
]  # fmt: skip

AUTHORS = [
    ("another folder", lambda s: checkpoints.load_authors(s.folder), FileNotFoundError, "no 200_gen_params"),
    ("a number", lambda s: checkpoints.load_authors(3), TypeError, "got int"),
    ("cut array", lambda s: checkpoints.load_authors(s.authors(lambda p: p.write_bytes(p.read_bytes()[:900]))),
     BAD_FILE,
     "jl_01.npy is cut short or no .npy"),
    ("empty array", lambda s: checkpoints.load_authors(s.authors(lambda p: p.write_bytes(b""))), BAD_FILE, "cut short"),
    ("pickled array", lambda s: checkpoints.load_authors(s.authors(lambda p: np.save(p, np.array([{}])))), BAD_FILE,
     "no .npy file"),
    ("array of a terabyte", lambda s: checkpoints.load_authors(s.authors(lambda p: p.write_bytes(
        p.read_bytes()[:128].replace(b"(100, 4096)", b"(99999,9999)")))), BAD_FILE, "cut short or no .npy"),
    ("whole numbers", lambda s: checkpoints.load_authors(s.authors(lambda p: np.save(p, np.zeros((100, 4096), int)))),
     BAD_FILE, "becomes float"),
    ("NaN", lambda s: checkpoints.load_authors(s.authors(lambda p: np.save(p, np.full((100, 4096), NAN)))), BAD_FILE,
     "jl_01.npy holds NaN"),
]  # fmt: skip

SAMPLING = [
    ("n below 0", lambda s: models.sample_latent(-1, s.g.arch), ValueError, "n must be at least 0, got -1"),
    ("n not whole", lambda s: models.sample_latent(2.0, s.g.arch), TypeError, "n must be a whole number"),
    ("n is True", lambda s: models.sample_latent(True, s.g.arch), TypeError, "n must be a whole number"),
    ("architecture unknown", lambda s: models.sample_latent(2, "tiny33"), ValueError, "did you mean 'tiny32'"),
    ("a network for its architecture", lambda s: models.sample_latent(2, s.g), TypeError, "as .arch"),
    ("seed is text", lambda s: models.sample_latent(2, s.g.arch, "1"), TypeError, "seed must be a whole number"),
    ("seed of 30 digits", lambda s: models.sample_latent(2, s.g.arch, 10**30), ValueError, "seed must be from"),
    ("seed is None", lambda s: models.sample_latent(2, s.g.arch, None), TypeError, "seed must be a whole number"),
    ("a name as generator", lambda s: models.sample("faces", s.z), TypeError, "expected a Generator, got str"),
    ("D as generator", lambda s: models.sample(s.d, s.z), TypeError, "expected a Generator, got Discriminator"),
    ("latents as an array", lambda s: models.sample(s.g, s.z.numpy()), TypeError, "latents as a float tensor"),
    ("latents are whole numbers", lambda s: models.sample(s.g, s.z.int()), ValueError, "expected float latents"),
    ("one latent", lambda s: models.sample(s.g, s.z[0]), ValueError, r"\(N, latent_dim\), got"),
    ("latents of another width", lambda s: models.sample(s.g, s.z[:, :31]), ValueError, r"\(N, 32\), got \(6, 31\)"),
    ("latents with NaN", lambda s: models.sample(s.g, s.z * NAN), ValueError, "latents hold NaN"),
    ("batches of 0", lambda s: models.sample(s.g, s.z, batch_size=0), ValueError, "batch_size .* at least 1, got 0"),
    ("batches below 0", lambda s: models.sample(s.g, s.z, batch_size=-5), ValueError, "at least 1, got -5"),
    ("batches not whole", lambda s: models.sample(s.g, s.z, batch_size=2.5), TypeError, "batch_size .* whole number"),
    ("batches of 1 by batch", lambda s: models.sample(s.g, s.z, "batch", 1), ValueError, "at least 2, got 1"),
    ("one latent by batch", lambda s: models.sample(s.g, s.z[:1], "batch"), ValueError, "at least 2 latents"),
    ("unknown statistics", lambda s: models.sample(s.g, s.z, "runing"), ValueError, "did you mean 'running'"),
    ("weights with NaN", lambda s: models.sample(s.broken, s.z), ValueError, "pictures are NaN"),
    ("nothing to calibrate with", lambda s: models.calibrate(s.d, []), ValueError, "got none"),
    ("calibrated with NaN", lambda s: models.calibrate(s.d, [s.images * NAN]), ValueError, "became NaN"),
    ("a name to calibrate", lambda s: models.calibrate("faces", []), TypeError, "expected a network"),
    ("shapes of a name", lambda s: models.shapes("faces"), TypeError, "expected a Generator or a Discriminator"),
    ("a kernel that no padding fits", lambda s: models.overlap(4, 3), ValueError, "does not give a side"),
    ("a kernel of text", lambda s: models.overlap("5"), TypeError, "kernel_size must be a whole number"),
    ("a stride of 0", lambda s: models.overlap(5, 0), ValueError, "stride must be from 1"),
]

WALKS = [
    ("walk through a list", lambda s: latent.interpolate([[0.0], [1.0]]), TypeError, "as a tensor"),
    ("walk with NaN", lambda s: latent.interpolate(s.z * NAN), ValueError, "must be finite"),
    ("walk of half a step", lambda s: latent.interpolate(s.z, 2.5), TypeError, "steps must be a whole number"),
    ("walk of a kind not known", lambda s: latent.interpolate(s.z, 3, "sperical"), ValueError, "did you mean 'sph"),
    ("walk of a kind that is None", lambda s: latent.interpolate(s.z, 3, None), ValueError, "kind of interpolation"),
    ("walk of no width", lambda s: latent.interpolate(torch.zeros(3, 0)), ValueError, "the points of a walk"),
    ("sum of nothing", lambda s: latent.arithmetic([], []), ValueError, "one concept or more"),
    ("sum of a tensor", lambda s: latent.arithmetic(s.z, []), TypeError, "`plus` as a list"),
    ("sum of other widths", lambda s: latent.arithmetic([s.z], [s.z[:, :3]]), ValueError, r"widths \[32, 3\]"),
    ("sum of no exemplars", lambda s: latent.arithmetic([s.z[:0]], []), ValueError, "exemplars of a concept"),
    ("sum with NaN", lambda s: latent.arithmetic([s.z], [s.z * NAN]), ValueError, "must be finite"),
    ("turn with NaN", lambda s: latent.turn(s.z, s.z * NAN), ValueError, "must be finite"),
    ("no neighbours", lambda s: latent.neighbours(s.z[0], 0), ValueError, "n must be at least 1"),
    ("neighbours at NaN", lambda s: latent.neighbours(s.z[0], 2, NAN), ValueError, "scale must be finite"),
    ("neighbours of many", lambda s: latent.neighbours(s.z), ValueError, "one latent"),
    ("exemplars by NaN", lambda s: latent.exemplars(np.array([[0.5], [NAN]]), ["a"], {"a": True}, 1), ValueError,
     "from 0 to 1"),
    ("exemplars by logits", lambda s: latent.exemplars(np.array([[5.0]]), ["a"], {"a": True}, 1), ValueError,
     "sigmoid"),
    ("exemplars by labels", lambda s: latent.exemplars(np.array([[1]]), ["a"], {"a": True}, 1), ValueError, "float"),
    ("exemplars wanted as text", lambda s: latent.exemplars(np.array([[0.5]]), ["a"], {"a": "no"}, 1), TypeError,
     "True or False"),
    ("exemplars wanted as a list", lambda s: latent.exemplars(np.array([[0.5]]), ["a"], ["a"], 1), TypeError, "True"),
    ("exemplars, half a one", lambda s: latent.exemplars(np.array([[0.5]]), ["a"], {"a": True}, 0.5), TypeError,
     "n must"),
    ("direction in NaN", lambda s: latent.direction(s.z * NAN, np.arange(6) < 3), ValueError, "must be finite"),
    ("direction of C = inf", lambda s: latent.direction(s.z, np.arange(6) < 3, float("inf")), ValueError, "C must be"),
    ("direction of C = 0", lambda s: latent.direction(s.z, np.arange(6) < 3, 0), ValueError,
     "C must be finite and above"),
    ("axes from few samples a class", lambda s: latent.principal_axes(models.build("tiny32", classes=9)[0], 2, 41),
     ValueError, "samples for 32 axes and 9 classes must be at least 42"),
    ("no axes", lambda s: latent.principal_axes(s.g, 0), ValueError, "n_axes must be from 1 to 32"),
    ("more axes than z", lambda s: latent.principal_axes(s.g, 33), ValueError, "n_axes must be from 1 to 32"),
    ("axes from few samples", lambda s: latent.principal_axes(s.g, 2, 20), ValueError, "samples .* at least 34"),
    ("axes of D", lambda s: latent.principal_axes(s.d), TypeError, "expected a Generator"),
    ("path with NaN", lambda s: latent.path_report(np.full((4, 2), NAN)), ValueError, "finite features"),
]  # fmt: skip


def boxes(s, value, side=4):
    return inspection.box_masks(s.write("boxes.json", value), side, 32)


INSIDE = [
    ("a unit from the end", lambda s: inspection.unit(0, 0, (-1, -1))(s.d, s.images), ValueError, "positions must be"),
    ("a unit beyond the map", lambda s: inspection.unit(0, 0, (16, 0))(s.d, s.images), ValueError, r"below \(16, 16\)"),
    ("a unit at three numbers", lambda s: inspection.unit(0, 0, (1, 2, 3))(s.d, s.images), ValueError,
     "positions must be"),
    ("units at fewer positions", lambda s: inspection.unit(0, 0, np.zeros((3, 2), int))(s.d, s.images), ValueError,
     r"\(16, 2\), one a picture, got \(3, 2\)"),
    ("a unit of a dense layer", lambda s: inspection.unit(3, 0, (0, 0))(models.build("tiny32", dense_units=8)[1],
     s.images), ValueError, "layer 3 is dense"),
    ("the largest of a dense layer", lambda s: inspection.unit(3, 0)(models.build("tiny32", dense_units=8)[1],
     s.images), ValueError, "layer 3 is dense"),
    ("maps of no pictures", lambda s: inspection.maximal_activations(s.d, s.images[:0], 1), ValueError, "got none"),
    ("maps of a D that is told the class", lambda s: inspection.maximal_activations(
        models.build("tiny32", classes=2)[1], s.images, 1), ValueError, "told the class"),
    ("G's maps from the end", lambda s: inspection.generator_maps(s.g, s.z, -2), ValueError,
     "layer must be from 0 to 2"),
    ("G's maps of the picture", lambda s: inspection.generator_maps(s.g, s.z, 3), ValueError,
     "layer must be from 0 to 2"),
    ("G's maps of a named layer", lambda s: inspection.generator_maps(s.g, s.z, "last"), TypeError, "whole number"),
    ("D's as G's maps", lambda s: inspection.generator_maps(s.d, s.z, 0), TypeError, "expected a Generator"),
    ("G's maps of NaN", lambda s: inspection.generator_maps(s.g, s.z * NAN, 0), ValueError, "latents hold NaN"),
    ("dropped beyond the last", lambda s: inspection.without_maps(s.g, [64], 0), ValueError,
     "maps must be from 0 to 63"),
    ("dropped from the end", lambda s: inspection.without_maps(s.g, [-1], 0), ValueError, "maps must be from 0 to 63"),
    ("dropped by a mask", lambda s: inspection.without_maps(s.g, np.ones(64, bool), 0), TypeError, "whole numbers"),
    ("dropped halves", lambda s: inspection.without_maps(s.g, [0.5], 0), TypeError, "whole numbers"),
    ("dropped in D", lambda s: inspection.without_maps(s.d, [0], 0), TypeError, "expected a Generator"),
    ("weights of NaN", lambda s: inspection.map_weights(s.maps * NAN, s.where), ValueError, "maps hold NaN"),
    ("weights of an array", lambda s: inspection.map_weights(s.maps.numpy(), s.where), TypeError, "float tensor"),
    ("weights of indices", lambda s: inspection.map_weights(s.maps, np.arange(4)), TypeError, "True and False"),
    ("weights of probabilities", lambda s: inspection.map_weights(s.maps, s.where * 0.7), TypeError, "True and False"),
    ("weights with C = -1", lambda s: inspection.map_weights(s.maps, s.where, C=-1), ValueError, "C must be"),
    ("boxes of text", lambda s: boxes(s, "x"), ValueError, "boxes.json holds no boxes"),
    ("boxes of a list", lambda s: boxes(s, "[]"), ValueError, "holds no boxes"),
    ("boxes without boxes", lambda s: boxes(s, "{}"), ValueError, "holds no boxes"),
    ("boxes of three numbers", lambda s: boxes(s, '{"boxes": {"1": [[0, 1, 2]]}}'), ValueError, "holds no boxes"),
    ("boxes upside down", lambda s: boxes(s, '{"boxes": {"1": [[9, 1, 2, 3]]}}'), ValueError, "do not lie in"),
    ("boxes outside", lambda s: boxes(s, '{"boxes": {"1": [[0, 1, 2, 33]]}}'), ValueError, "pictures of 32 pixels"),
    ("boxes of NaN", lambda s: boxes(s, '{"boxes": {"1": [[NaN, 1, 2, 3]]}}'), ValueError, "do not lie in"),
    ("boxes of picture -1", lambda s: boxes(s, '{"boxes": {"-1": []}}'), ValueError, "do not lie in"),
    ("boxes on no map", lambda s: boxes(s, '{"boxes": {}}', 0), ValueError, "side must be from 1"),
    ("field of layer -1", lambda s: inspection.receptive_field(s.d.arch, -1), ValueError, "layer must be from 0 to 2"),
    ("field of layer 3", lambda s: inspection.receptive_field(s.d.arch, 3), ValueError, "layer must be from 0 to 2"),
    ("filters of G", lambda s: inspection.filters(s.g), TypeError, "expected a Discriminator"),
    ("activations of layer -1", lambda s: inspection.maximal_activations(s.d, s.images, -1), ValueError, "from 0 to 2"),
    ("activations of no maps", lambda s: inspection.maximal_activations(s.d, s.images, 0, []), ValueError, "got none"),
    ("activations, batch of 0", lambda s: inspection.maximal_activations(s.d, s.images, 0, batch_size=0), ValueError,
     "batch_size must be"),
    ("activations, k = 0", lambda s: inspection.maximal_activations(s.d, s.images, 0, k=0), ValueError, "k must be"),
    ("crops of floats", lambda s: inspection.crops(s.images, s.d.arch, s.excited), ValueError, "uint8"),
    ("crops of fewer pictures", lambda s: inspection.crops(np.zeros((1, 32, 32, 3), np.uint8), s.d.arch,
     inspection.Excitation(1, (0,), np.zeros((1, 1)), np.array([[5]]), np.zeros((1, 1, 2), int))), ValueError,
     "got 1 p"),
    ("unit of layer -1", lambda s: inspection.unit(-1, 0), ValueError, "layer must be at least 0"),
    ("unit of layer 7", lambda s: inspection.unit(7, 0)(s.d, s.images), ValueError, "layer must be from 0 to 2"),
    ("unit of map 99", lambda s: inspection.unit(0, 99)(s.d, s.images), ValueError, "maps must be from 0 to 15"),
    ("units of two maps", lambda s: inspection.unit(0, [1, 2])(s.d, s.images), ValueError, "one map, or 16"),
    ("a score of maps", lambda s: inspection.guided_backpropagation(s.d, s.images, lambda n, x: n.feature_maps(x)[0]),
     ValueError, r"expected a score \(16,\)"),
    ("no steps", lambda s: inspection.optimised_input(s.d, (1, 3, 32, 32), inspection.unit(0, 0), 0), ValueError,
     "steps"),
    ("a rate of NaN", lambda s: inspection.optimised_input(s.d, (1, 3, 32, 32), inspection.unit(0, 0), 1, NAN),
     ValueError, "rate must be finite"),
    ("labels of fewer", lambda s: inspection.class_entropy(s.excited.pictures, np.zeros(1)), ValueError, "labels"),
]  # fmt: skip

TABLE = [
    pytest.param(*row[1:], id=f"{part}: {row[0]}")
    for part, rows in (
        ("file", FILES),
        ("place", PLACES),
        ("writer", WRITERS),
        ("authors", AUTHORS),
        ("sampling", SAMPLING),
        ("latent", WALKS),
        ("inside", INSIDE),
    )
    for row in rows
]


@pytest.mark.parametrize("call, error, words", TABLE)
def test_is_refused(call, error, words, s, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where no runs/ is
    started = time.monotonic()
    with pytest.raises(error) as caught:
        call(s)
    assert re.search(words, str(caught.value)), str(caught.value)
    assert type(caught.value) is error or error is OSError, type(caught.value)  # not one from deep inside
    assert len(str(caught.value)) < 600 and time.monotonic() - started < 5
    assert not list(s.folder.rglob("*.part")) and not (s.folder / "lab").exists()


def test_the_networks_are_as_they_were_after_all_that(s):
    """What was refused half-way left no statistics behind; runs after the table, whose networks it shares."""
    again = models.build("tiny32", seed=0)
    models.calibrate(again[0], [models.sample_latent(32, s.g.arch)])
    assert checkpoints.digest(again[0]) == checkpoints.digest(s.g) and not s.g.training and not s.d.training
    assert checkpoints.parameters_finite(s.g, s.d)


def test_batches_by_batch_statistics_leave_no_latent_by_itself(s):
    """5 latents in batches of 2 are 3 and 2: one by itself would be normalised by itself, and grey or black."""
    images = models.sample(s.g, s.z[:5], "batch", 2)
    parts = [models.sample(s.g, z, "batch", 9) for z in (s.z[:3], s.z[3:5])]
    torch.testing.assert_close(images, torch.cat(parts))


def test_latents_in_other_forms_give_the_same(s):
    named = models.sample_latent(6, "tiny32")
    assert torch.equal(named, s.z) and torch.equal(models.sample_latent(np.int64(6), s.g.arch, np.int64(0)), s.z)
    assert models.sample_latent(0, "tiny32").shape == (0, 32)
    torch.testing.assert_close(models.sample(s.g, s.z.double()), models.sample(s.g, s.z))
    assert models.sample(s.g, s.z[:0]).shape == (0, 3, 32, 32)


def test_overlap_counts_taps_for_other_strides_too():
    for kernel, stride, size in ((5, 2, 16), (4, 2, 16), (3, 1, 9), (3, 3, 15), (6, 4, 16)):
        found, padding = models.overlap(kernel, stride, size), (kernel - 1) // 2
        row = np.zeros(size)
        for i in range(-(-size // stride)):
            for tap in range(kernel):
                at = i * stride - padding + tap
                if 0 <= at < size:
                    row[at] += 1
        np.testing.assert_array_equal(found.numpy(), np.outer(row, row))
