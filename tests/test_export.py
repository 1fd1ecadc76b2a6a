"""ONNX against torch, the lab's arrays against torch, and the lab itself in headless Chromium."""

import base64
import copy
import gzip
import json
import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import browser
import numpy as np
import pytest
import torch
from playwright.sync_api import sync_playwright
from torch.nn import functional as F

from dcgan_lib import checkpoints, cli, data, export, models, results

ROOT = Path(__file__).parents[1]
BUILT = ROOT / "_build" / "html"


def calibrated(name, **changes):
    generator, _ = models.build(name, seed=0, **changes)
    arch = generator.arch
    labels = torch.arange(32) % arch.classes if arch.classes else None
    models.calibrate(generator, [(models.sample_latent(32, arch, s), labels) for s in range(3)])
    return generator.eval()


def run_layers(layers, z, one_hot=None):
    """The lab's layers by torch's own transposed convolution: what the kernel has to compute.

    `one_hot` (classes,) belongs behind the latent, and into the biases of the outputs without weights.
    """
    x = z
    if one_hot is not None:
        x = torch.cat([z, one_hot.expand(len(z), -1)], 1)
        layers = [dict(layer) for layer in layers]
        for layer in layers[:-1]:
            bias = layer["bias"].reshape(-1, layer["width"] + len(one_hot))
            assert (bias[:, layer["width"] :] == 0).all()
            told = np.broadcast_to(one_hot.numpy(), (len(bias), len(one_hot)))
            layer["bias"] = np.concatenate([bias[:, : layer["width"]], told], 1).ravel()
    for i, layer in enumerate(layers):
        weight = torch.from_numpy(layer["weight"].astype(np.float32) * layer.get("scale", np.float32(1)))
        if "kernel" not in layer:
            x = (x @ weight[0] + torch.from_numpy(layer["bias"])).relu()
            if "kernel" in layers[i + 1]:
                size = layers[i + 1]["size"]
                x = x.view(len(z), size, size, -1).permute(0, 3, 1, 2)
            continue
        k, stride, pad = layer["kernel"], layer["stride"], layer["pad"]
        weight = weight.view(k, k, *weight.shape[1:]).permute(2, 3, 0, 1)  # (in, out, k, k)
        more = layer["out"] - ((layer["size"] - 1) * stride - 2 * pad + k)
        x = F.conv_transpose2d(x, weight, torch.from_numpy(layer["bias"]), stride, pad, more)
        x = x.tanh() if layer is layers[-1] else x.relu()
    return x


SHAPES = {
    "tiny32": {},
    "mnist28": {},  # a dense hidden layer, a size that is no power of two, one channel, no gains
    "imagenet32": {"widths": (8, 8, 12, 12, 16, 16)},  # strides of 1, 3x3 kernels
    "paper64": {"widths": (8, 12, 16, 20)},  # batch norm over units, 5x5 kernels
    "keras64": {"widths": (6, 10, 14, 18)},  # no batch norm behind the dense layer; widths that 4 does not divide
    "svhn32": {"widths": (6, 8, 12), "norm": "everywhere"},  # batch norm on the picture: its layer has a bias
}


@pytest.mark.parametrize("name", SHAPES)
def test_folded_layers_equal_the_generator(name):
    generator = calibrated(name, **SHAPES[name])
    z = models.sample_latent(5, generator.arch, 4)
    torch.testing.assert_close(run_layers(export.folded(generator), z), models.sample(generator, z), atol=2e-5, rtol=0)


CONDITIONAL = {
    "mnist28_conditional": {"widths": (6, 12), "dense_units": 20, "latent_dim": 9},  # sigmoid, pixels in [0, 1]
    "tiny32": {"widths": (4, 6, 9), "classes": 3},  # no hidden layer, batch norm per channel, odd widths
}


@pytest.mark.parametrize("name", CONDITIONAL)
def test_folded_layers_equal_the_generator_that_is_told_the_class(name):
    generator = calibrated(name, **CONDITIONAL[name])
    z, classes = models.sample_latent(5, generator.arch, 4), generator.arch.classes
    for label in (0, classes - 1):
        expected = models.sample(generator, z, labels=torch.full((5,), label))
        found = run_layers(export.folded(generator), z, torch.eye(classes)[label])
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


def test_batch_norm_on_a_picture_in_the_unit_range_is_folded():
    changes = {"widths": (6, 12), "dense_units": 20, "latent_dim": 9, "norm": "everywhere", "norm_affine": True}
    generator = calibrated("mnist28_conditional", **changes)
    z = models.sample_latent(5, generator.arch, 4)
    expected = models.sample(generator, z, labels=torch.full((5,), 3))
    found = run_layers(export.folded(generator), z, torch.eye(10)[3])
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)
    assert expected.std() > 0.05


def test_quantised_layers_stay_close():
    layers = export.folded(checkpoints.load("faces")[0])
    small = export.quantised(layers)
    for i, (before, after) in enumerate(zip(layers, small, strict=True)):
        assert after["weight"].dtype == np.int16
        assert np.abs(after["weight"]).max() == (255, 255, 511, 4095, 4095)[i]
        step = after["scale"]
        assert (np.abs(after["weight"] * step - before["weight"]) <= step / 2 + 1e-7).all()


def test_what_the_lab_cannot_run_is_named():
    with pytest.raises(ValueError, match="only generators with generator_activation 'relu', got 'elu'"):
        export.folded(calibrated("tiny32", generator_activation="elu"))
    with pytest.raises(ValueError, match="only generators with output_activation 'sigmoid', got 'linear'"):
        export.folded(calibrated("tiny32", unit_range=True, output_activation="linear"))


@pytest.mark.parametrize("name", ["tiny32", "mnist28", "imagenet32", "svhn32"])
def test_onnx_equals_torch_for_any_batch(name, tmp_path):
    import onnx
    import onnxruntime

    generator = calibrated(name, **SHAPES[name])
    path = export.onnx(generator, tmp_path / "generator.onnx")
    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert {i.domain: i.version for i in model.opset_import}[""] == export.OPSET
    session = onnxruntime.InferenceSession(str(path))
    for n in (1, 7):
        z = models.sample_latent(n, generator.arch, n)
        (images,) = session.run(["images"], {"latent": z.numpy()})
        np.testing.assert_allclose(images, models.sample(generator, z).numpy(), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_generator_of_any_float_type_is_exported_in_float32(dtype, tmp_path):
    import onnxruntime

    generator = calibrated("tiny32").to(dtype).train()
    same = copy.deepcopy(generator).float().eval()
    session = onnxruntime.InferenceSession(str(export.onnx(generator, tmp_path / "generator.onnx")))
    z = models.sample_latent(3, generator.arch, 4)
    (images,) = session.run(["images"], {"latent": z.numpy()})
    np.testing.assert_allclose(images, models.sample(same, z).numpy(), atol=1e-5)
    torch.testing.assert_close(run_layers(export.folded(generator), z), models.sample(same, z), atol=2e-5, rtol=0)
    for network, folder in ((generator, tmp_path / "lab"), (same, tmp_path / "same")):
        export.lab(network, folder, also={"two": network})
    for file in ("weights.js", "weights2.js"):
        assert net_of(tmp_path / "lab" / file) == net_of(tmp_path / "same" / file)
    assert generator.training and all(p.dtype == dtype for p in generator.parameters()), "the caller's is as it was"


def test_frozen_parameters_are_counted(tmp_path):
    generator = calibrated("tiny32")
    count = models.parameter_count(generator)
    export.lab(generator.requires_grad_(False), tmp_path)
    assert net_of(tmp_path / "weights.js")["parameters"] == count > 0


def test_onnx_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"pip install 'dcgan_lib\[onnx\]'"):
        export.onnx(calibrated("tiny32"), tmp_path / "x.onnx")


def test_command_line(tmp_path, capsys):
    assert cli.main(["export", "lab", "mnist", "--out", str(tmp_path / "lab"), "--title", "Digits"]) == 0
    assert "principal axes" in capsys.readouterr().out
    assert {p.name for p in (tmp_path / "lab").iterdir()} == {"index.html", "lab.js", "lab.css", "weights.js"}
    assert "<title>Digits</title>" in (tmp_path / "lab" / "index.html").read_text()
    assert cli.main(["export", "lab", "mnist", "--also", "scenes", "faces", "--out", str(tmp_path / "three")]) == 0
    nets = [net_of(tmp_path / "three" / f"weights{i}.js") for i in ("", 2, 3)]
    assert [net["name"] for net in nets] == ["mnist", "scenes", "faces"]
    assert [also["file"] for also in nets[0]["also"]] == ["weights2.js", "weights3.js"]
    assert "smile" in {d["name"] for d in nets[2]["directions"]}, "a generator's known directions wherever it stands"
    capsys.readouterr()
    assert cli.main(["export", "lab", "mnist", "--also", "mnist", "--out", str(tmp_path / "same")]) == 2
    assert "two generators have the same name" in capsys.readouterr().err
    assert cli.main(["export", "onnx", "mnist", "--also", "faces", "--out", str(tmp_path / "x.onnx")]) == 2
    assert "--also is for the lab" in capsys.readouterr().err
    assert cli.main(["export", "onnx", "imagenet32", "--out", str(tmp_path / "x.onnx")]) == 2
    assert "imagenet32 holds only a discriminator" in capsys.readouterr().err


def test_the_command_line_names_generators_by_their_place(tmp_path, monkeypatch):
    """What "." is called is its folder's name; a link keeps its own."""
    run, other = tmp_path / "mine", tmp_path / "theirs"
    checkpoints.save(run / checkpoints.FILE, calibrated("tiny32"), None)
    (run / "run.json").write_text("{}")
    shutil.copytree(run, other / "b\udcffd")
    (tmp_path / "latest").symlink_to(run)
    monkeypatch.chdir(run)
    arguments = [".", "--also", f"../theirs/b\udcffd/{checkpoints.FILE}", "../latest", "--out", "../lab"]
    assert cli.main(["export", "lab", *arguments]) == 0
    names = [net_of(tmp_path / "lab" / f"weights{i}.js")["name"] for i in ("", 2, 3)]
    assert names == ["mine", "b\udcffd", "latest"]
    assert cli.main(["export", "lab", "../theirs/b\udcffd", "--out", "../lab"]) == 0, "its name stands in the page"


def test_the_menu_has_the_names_that_the_training_set_gave(tmp_path):
    for name, names in (("pets", ["cat", "dog", "a third that no picture has"]), ("plain", None)):
        generator = calibrated("tiny32", classes=2 if names else 0)
        checkpoints.save(tmp_path / f"{name}.safetensors", generator, None, {"class_names": names} if names else {})
    files = [str(tmp_path / f"{name}.safetensors") for name in ("plain", "pets")]
    assert cli.main(["export", "lab", files[0], "--also", files[1], "--out", str(tmp_path / "lab")]) == 0
    found = [net_of(tmp_path / "lab" / f"weights{i}.js")["classNames"] for i in ("", 2)]
    assert found == [[], ["cat", "dog"]]


def test_known_directions_belong_to_the_shipped_faces():
    directions, presets = export.known_directions(checkpoints.load("faces")[0])
    assert {"smile", "turn the head"} <= set(directions) and len(presets) == 2
    assert all(abs(float(v.norm()) - 1) < 1e-3 for v in directions.values())
    assert export.known_directions(calibrated("tiny32")) == (None, None)


def test_lab_refuses_what_does_not_fit(tmp_path):
    generator = calibrated("tiny32")
    with pytest.raises(ValueError, match=r"direction 'smile': expected \(32,\), got \(31,\)"):
        export.lab(generator, tmp_path, {"smile": torch.zeros(31)})
    for length in (0.0, 0.9, 3.0):
        with pytest.raises(ValueError, match=f"direction 'smile': expected length 1, got {length:.3g}: divide it by"):
            export.lab(generator, tmp_path, {"smile": length * torch.eye(32)[3]})
    terms = [("x", torch.zeros(3, 32))]
    with pytest.raises(ValueError, match="preset 'sum': expected A and C in plus"):
        export.lab(generator, tmp_path, presets=[{"name": "sum", "plus": terms, "minus": terms}])
    page = export.lab(generator, tmp_path, title="a < b & c").read_text()
    assert "<h1>a &lt; b &amp; c</h1>" in page
    page = export.lab(generator, tmp_path / "new" / "lab", title="{about}", about=r"{title} \1 {x}").read_text()
    assert "<h1>{about}</h1>\n<p>{title} \\1 {x}</p>" in page


def test_a_text_that_no_page_can_hold_is_refused_before_anything_is_written(tmp_path, capsys):
    command = ["export", "lab", "mnist", "--out", str(tmp_path / "lab"), "--title", "caf\udce9"]
    assert cli.main(command) == 2 and not (tmp_path / "lab").exists()
    assert "title and about must be text that UTF-8 can hold, got 'caf\\udce9'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["index.html", "lab.css", "lab.js", "weights.js"])
def test_a_page_that_is_no_lab_is_not_replaced(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=f"is no lab and holds {name}, which the lab would replace"):
        export.lab(calibrated("tiny32"), tmp_path)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["mine"]


def test_onnx_is_a_file_of_that_name(tmp_path):
    with pytest.raises(ValueError, match=r"expected a file that ends in \.onnx, got"):
        export.onnx(calibrated("tiny32"), tmp_path / checkpoints.FILE)


@pytest.mark.parametrize("latent_dim", [1, 5])
def test_a_lab_of_few_latents_has_as_many_sliders(tmp_path, latent_dim):
    generator = calibrated("tiny32", widths=(4, 4, 4), latent_dim=latent_dim)
    export.lab(generator, tmp_path)
    assert len(net_of(tmp_path / "weights.js")["directions"]) == latent_dim


def test_an_earlier_lab_s_other_generators_are_removed(tmp_path):
    generator = calibrated("tiny32")
    mine = {"weights1.js", "weights02.js", "weights4.js.bak", "my_weights3.js", "weights.json"}
    for name in mine:
        (tmp_path / name).write_text("a reader's own")
    export.lab(generator, tmp_path, also={f"g{i}": generator for i in range(10)})
    assert (tmp_path / "weights11.js").is_file()
    export.lab(generator, tmp_path, also={"two": generator})
    written = {"index.html", "lab.js", "lab.css", "weights.js", "weights2.js"}
    assert {path.name for path in tmp_path.iterdir()} == written | mine


def test_an_unfinished_run_is_exported(tmp_path):
    """The weights that a checkpoint left; the file is only as old as that."""
    generator = calibrated("tiny32")
    (tmp_path / "run.json").write_text("{}")
    checkpoints.save(tmp_path / checkpoints.FILE, generator, None, {"step": 3})
    out = tmp_path / "deep" / "lab"
    assert cli.main(["export", "lab", str(tmp_path), "--out", str(out)]) == 0 and (out / "weights.js").is_file()
    file = tmp_path / "other" / "generator.onnx"
    assert cli.main(["export", "onnx", str(tmp_path), "--out", str(file)]) == 0 and file.stat().st_size > 1000


def net_of(file):
    return json.loads(re.fullmatch(r"window\.DCGAN_NET = (.*);\n", file.read_text())[1])


def test_generators_of_one_lab_have_names_of_their_own(tmp_path):
    generator = calibrated("tiny32")
    with pytest.raises(ValueError, match="two generators are called 'a'"):
        export.lab(generator, tmp_path / "lab", name="a", also={"a": generator})
    with pytest.raises(TypeError, match=r"expected also as \{name: generator\}, got list"):
        export.lab(generator, tmp_path / "lab", also=[generator])
    with pytest.raises(TypeError, match="expected a Generator"):
        export.lab(generator, tmp_path / "lab", also={"b": "faces"})
    with pytest.raises(ValueError, match="class_names are of 'b', the lab's generators are a"):
        export.lab(generator, tmp_path / "lab", name="a", class_names={"b": ["cat"]})
    with pytest.raises(ValueError, match="class_names of 'a': 1 names, and it has 0 classes"):
        export.lab(generator, tmp_path / "lab", name="a", class_names={"a": ["cat"]})
    with pytest.raises(TypeError, match=r"expected class_names as .*, got list"):
        export.lab(generator, tmp_path / "lab", name="a", class_names=["cat"])
    assert not (tmp_path / "lab").exists()


def test_the_kernel_is_the_one_that_the_page_carries(tmp_path):
    export.lab(calibrated("tiny32"), tmp_path)
    net = net_of(tmp_path / "weights.js")
    assert base64.b64decode(net["kernel"]) == (export.LAB / "kernel.wasm").read_bytes()
    assert net["layers"][0]["inputs"] == net["latentDim"] == 32


# ---- in the browser --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def chromium():
    with sync_playwright() as playwright:
        instance = browser.launch(playwright)
        yield instance
        instance.close()


@pytest.fixture
def open_lab(chromium):
    """Opens a page, its errors collected, every request to a network refused; closes it after the test."""
    pages = []

    def opened(address, **options):
        page = chromium.new_page(**options)
        pages.append(page)
        page.errors = []
        # jupyter-book declares one of its own constants twice, on every page
        page.on("pageerror", lambda e: None if "THEBE_JS_URL" in str(e) else page.errors.append(str(e)))
        own = ("file:", "http://127.0.0.1:")
        page.route("**/*", lambda route: route.continue_() if route.request.url.startswith(own) else route.abort())
        page.goto(address if isinstance(address, str) else address.as_uri())
        page.wait_for_selector("#dcgan-lab[data-ready]", timeout=30_000)
        return page

    yield opened
    for page in pages:
        page.close()


@pytest.fixture
def packed_fast(monkeypatch):
    """gzip's fastest level, seconds faster for large networks: the page unpacks the same bytes."""
    compress = gzip.compress
    monkeypatch.setattr(gzip, "compress", lambda data, level, **options: compress(data, 1, **options))


def in_page(page, z, arch, label=0):
    call = "([z, label]) => Array.from(window.DCGAN_LAB.draw(Float32Array.from(z), label))"
    values = page.evaluate(call, [z.tolist(), label])
    return torch.tensor(values).view(arch.image_size, arch.image_size, arch.channels).permute(2, 0, 1)


@pytest.mark.browser
@pytest.mark.usefixtures("packed_fast")
@pytest.mark.parametrize("name", SHAPES)
def test_kernel_equals_torch(name, open_lab, tmp_path):
    """The kernel and the script against the same rounded layers run by torch: equal but for the order of sums."""
    generator = calibrated(name, **SHAPES[name])
    page = open_lab(export.lab(generator, tmp_path))
    z = models.sample_latent(3, generator.arch, 8)
    expected = run_layers(export.quantised(export.folded(generator)), z)
    for latent, image in zip(z, expected, strict=True):
        torch.testing.assert_close(in_page(page, latent, generator.arch), image, atol=1e-4, rtol=0)
    assert not page.errors


@pytest.mark.browser
@pytest.mark.parametrize("name", CONDITIONAL)
def test_kernel_and_menu_of_classes(name, open_lab, tmp_path):
    generator = calibrated(name, **CONDITIONAL[name])
    arch, layers = generator.arch, export.quantised(export.folded(generator))
    page = open_lab(export.lab(generator, tmp_path, name="own", class_names={"own": ["<nought>", "one"]}))
    z = models.sample_latent(1, arch, 8)
    for label in (1, 0, arch.classes - 1):
        expected = run_layers(layers, z, torch.eye(arch.classes)[label])[0]
        torch.testing.assert_close(in_page(page, z[0], arch, label), expected, atol=1e-4, rtol=0)
    parts = ("Sliders", "Walk between two pictures", "Arithmetic")
    before = [canvas(page, part) for part in parts]
    menu = page.get_by_role("combobox", name="class")
    assert menu.locator("option").all_inner_texts() == ["<nought>", "one", *map(str, range(2, arch.classes))]
    menu.select_option("2")
    assert all(canvas(page, part) != old for part, old in zip(parts, before, strict=True))
    menu.select_option("0")
    assert [canvas(page, part) for part in parts] == before and not page.errors
    assert "class <nought>" in page.locator(".lab-status").all_inner_texts()


@pytest.mark.browser
def test_a_generator_keeps_its_class(open_lab, tmp_path):
    """Choose a class, another generator and the first one again: menu and picture are of the class that was chosen."""
    name = next(iter(CONDITIONAL))
    page = open_lab(export.lab(calibrated(name, **CONDITIONAL[name]), tmp_path, also={"two": calibrated("tiny32")}))
    classes, generators = (page.get_by_role("combobox", name=menu) for menu in ("class", "generator"))
    zero = canvas(page, "Sliders")
    classes.select_option("2")
    chosen = canvas(page, "Sliders")
    for number, there in (("1", 0), ("0", 1)):
        generators.select_option(number)
        page.wait_for_function("n => document.querySelectorAll('select').length == n + 1", arg=there)
    assert classes.input_value() == "2" and canvas(page, "Sliders") == chosen != zero and not page.errors


def in_torch(page, generator, number):
    """What torch draws for the page's picture of this number."""
    z = torch.tensor([page.evaluate("n => Array.from(window.DCGAN_LAB.latentOf(n))", number)])
    return run_layers(export.quantised(export.folded(generator)), z)[0]


def shown(page, part):
    """The picture on a part's big canvas, (3, H, W) in [-1, 1]."""
    pixels = page.locator(f"section[aria-label='{part}'] canvas").first.evaluate(
        "c => [c.width, Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)]"
    )
    return torch.tensor(pixels[1]).view(pixels[0], pixels[0], 4)[..., :3].permute(2, 0, 1) / 127.5 - 1


@pytest.mark.browser
@pytest.mark.usefixtures("packed_fast")
def test_a_reader_chooses_the_generator(open_lab, tmp_path):
    """From the disk: the second file is loaded when it is chosen and once, and each picture is its own generator's."""
    first, second = calibrated("svhn32", widths=(6, 8, 12)), calibrated("mnist28", **SHAPES["mnist28"])
    latents = models.sample_latent(3, first.arch, 1)
    sums = [{"name": "→ sum", "plus": [("a", latents[:1]), ("c", latents[1:2])], "minus": [("b", latents[2:])]}]
    page = open_lab(export.lab(first, tmp_path, presets=sums, first=5, name="one", also={"two": second}))
    loaded = []
    page.on("request", lambda request: loaded.append(request.url.rpartition("/")[2]))
    menu, said = page.get_by_role("combobox", name="generator"), page.locator(".lab-choice + .lab-status")
    megabytes = (tmp_path / "weights2.js").stat().st_size / 1e6
    assert menu.locator("option").all_inner_texts() == ["one", f"two ({megabytes:.1f} MB more)"]
    assert said.inner_text() == f"32×32 pixels, {models.parameter_count(first):,} parameters"
    sum_button, playing = page.get_by_role("button", name="→ sum"), page.get_by_role("button", name="Stop")
    torch.testing.assert_close(shown(page, "Sliders"), in_torch(page, first, 5), atol=0.51 / 127.5, rtol=0)
    assert sum_button.count() == 1
    page.get_by_role("button", name="Play").click()
    for name, generator, size in (("two", second, 28), ("one", first, 32), ("two", second, 28)):
        menu.select_option(label=f"two ({megabytes:.1f} MB more)" if name == "two" and not loaded else name)
        page.wait_for_function(
            "text => document.querySelector('.lab-status').textContent.startsWith(text)", arg=f"{size}×"
        )
        expected = in_torch(page, generator, 5).expand(3, -1, -1)
        torch.testing.assert_close(shown(page, "Sliders"), expected, atol=0.51 / 127.5, rtol=0)
        assert sum_button.count() == (name == "one") and playing.count() == 0
        assert {*page.locator("canvas").evaluate_all("all => all.map(c => c.width)")} == {size}
    assert loaded == ["weights2.js"] and not page.errors


@pytest.mark.browser
@pytest.mark.parametrize("half", [False, True])
def test_a_generator_that_cannot_be_loaded_leaves_the_page(open_lab, tmp_path, half):
    generator = calibrated("tiny32")
    page = open_lab(export.lab(generator, tmp_path, name="one", also={"two": generator}))
    second = tmp_path / "weights2.js"
    second.write_text(second.read_text()[:-200]) if half else second.unlink()
    start, menu = canvas(page, "Sliders"), page.get_by_role("combobox", name="generator")
    menu.select_option("1")
    page.wait_for_function("document.querySelector('.lab-status').textContent.includes('could not be loaded')")
    said = "two could not be loaded: the file weights2.js is missing, or did not arrive whole: try again"
    assert page.locator(".lab-status").first.inner_text() == said
    assert menu.input_value() == "0" and menu.is_enabled() and canvas(page, "Sliders") == start
    page.get_by_role("button", name="Another one").click()
    assert canvas(page, "Sliders") != start


@pytest.mark.browser
@pytest.mark.parametrize("damage", ["missing", "half", "weights", "presets"])
def test_a_generator_is_loaded_once_its_file_is_whole(open_lab, tmp_path, damage):
    """What could not be read is named and asked for anew when it is chosen again."""
    first, second = calibrated("tiny32"), calibrated("tiny32", widths=(4, 6, 9))
    page = open_lab(export.lab(first, tmp_path, name="one", also={"two": second}))
    file, start = tmp_path / "weights2.js", canvas(page, "Sliders")
    whole, net = file.read_bytes(), net_of(file)
    if damage == "missing":
        file.unlink()
    elif damage == "half":
        file.write_bytes(whole[:-200])
    else:  # a script that runs, and a generator that does not
        net |= {"weights": "0" * len(net["weights"])} if damage == "weights" else {"presets": None}
        file.write_text(f"window.DCGAN_NET = {json.dumps(net)};\n")
    menu, said = page.get_by_role("combobox", name="generator"), page.locator(".lab-status").first
    for _ in range(2):
        menu.select_option("1")
        page.wait_for_function("!document.querySelector('select').disabled")
        assert said.inner_text().startswith("two could not be loaded: the file weights2.js "), said.inner_text()
        assert menu.input_value() == "0" and canvas(page, "Sliders") == start
    file.write_bytes(whole)
    menu.select_option("1")
    page.wait_for_function("!document.querySelector('select').disabled")
    assert said.inner_text() == f"32×32 pixels, {models.parameter_count(second):,} parameters"
    torch.testing.assert_close(shown(page, "Sliders"), in_torch(page, second, 7), atol=0.51 / 127.5, rtol=0)


@pytest.mark.browser
@pytest.mark.parametrize("name", ["two", "the generator of a run with a name that is long " * 3])
def test_the_menu_fits_a_narrow_phone(name, open_lab, tmp_path):
    generator = calibrated("tiny32")
    path = export.lab(generator, tmp_path, name="one", also={name: generator})
    page = open_lab(path, viewport={"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.browser
def test_a_screen_reader_hears_which_picture_is_an_end_of_the_walk(open_lab, tmp_path):
    page = open_lab(export.lab(calibrated("tiny32"), tmp_path, {"smile": torch.eye(32)[3]}))
    number = page.get_by_role("spinbutton", name="No. of the picture")
    number.fill("99")
    number.dispatch_event("change")
    ends = page.locator(".lab-end canvas")
    heard = [ends.nth(i).get_attribute("aria-label") for i in (0, 1)]
    assert heard == ["end of the walk, number 12", "end of the walk, number 41"]
    page.get_by_role("button", name="From the sliders, as A").click()
    page.get_by_role("slider", name="smile").fill("1.5")
    page.get_by_role("button", name="From the sliders, as B").click()
    heard = [ends.nth(i).get_attribute("aria-label") for i in (0, 1)]
    assert heard == ["end of the walk, number 99", "end of the walk, number 99, smile 1.5"]
    page.get_by_role("button", name="Another for B").click()
    assert re.fullmatch(r"end of the walk, number \d+", ends.nth(1).get_attribute("aria-label")) and not page.errors


@pytest.mark.browser
def test_what_a_generator_lacks_is_not_shown(open_lab, tmp_path):
    """No directions: no sliders and nothing that speaks of them; one generator: no menu."""
    page = open_lab(export.lab(calibrated("tiny32"), tmp_path, directions={}))
    assert page.locator("h2").all_inner_texts() == ["Pictures", "A walk between two", "A − B + C"]
    assert page.get_by_role("slider").count() == 1, "the walk's"
    assert page.get_by_text("sliders").count() == 0 and page.get_by_role("combobox").count() == 0
    page.get_by_role("button", name="From the picture above, as B").click()
    page.get_by_role("slider").fill("100")
    assert canvas(page, "Walk between two pictures") == canvas(page, "Sliders") and not page.errors


@pytest.fixture
def lab_page(open_lab):
    path = BUILT / "book" / "lab.html"
    if not path.exists():
        pytest.skip("build the book first: make book")
    return open_lab(path, viewport={"width": 1200, "height": 1000})


@pytest.mark.browser
def test_the_page_draws_the_shipped_faces(lab_page):
    generator, _ = checkpoints.load("faces")
    z = models.sample_latent(16, generator.arch, 5)
    difference = torch.stack([in_page(lab_page, latent, generator.arch) for latent in z]) - models.sample(generator, z)
    assert difference.abs().max() <= 0.02 and difference.abs().mean() <= 0.5 / 255  # of a range of 2
    files = [BUILT / "lab" / name for name in ("weights.js", "lab.js", "lab.css")]
    assert sum(path.stat().st_size for path in files) <= 5_000_000
    times = lab_page.evaluate(
        """() => { const z = window.DCGAN_LAB.latentOf(1), times = [];
        for (let i = 0; i < 40; i++) { const t = performance.now(); window.DCGAN_LAB.draw(z); times.push(performance.now() - t); }
        return times.sort((a, b) => a - b); }"""  # noqa: E501
    )
    assert times[20] <= 20, f"{times[20]:.1f} ms a picture"


@pytest.mark.browser
def test_the_page_draws_the_shipped_digits(lab_page):
    generator, _ = checkpoints.load("mnist")
    lab_page.get_by_role("combobox", name="generator").select_option("1")
    lab_page.wait_for_function("document.querySelector('.lab-status').textContent.startsWith('28×28')")
    z = models.sample_latent(16, generator.arch, 5)
    difference = torch.stack([in_page(lab_page, latent, generator.arch) for latent in z]) - models.sample(generator, z)
    assert difference.abs().max() <= 0.02 and difference.abs().mean() <= 0.5 / 255  # of a range of 2
    assert (BUILT / "lab" / "weights2.js").stat().st_size <= 1_500_000
    assert lab_page.get_by_role("button", name="→").count() == 0 and not lab_page.errors


def canvas(page, part, index=0):
    """The pixels of a canvas of one part of the lab."""
    data_url = page.locator(f"section[aria-label='{part}'] canvas").nth(index).evaluate("c => c.toDataURL('image/png')")
    return data_url


@pytest.mark.browser
def test_the_page_works_from_a_server(open_lab):
    if not BUILT.is_dir():
        pytest.skip("build the book first: make book")
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(BUILT))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = open_lab(f"http://127.0.0.1:{server.server_address[1]}/book/lab.html")
        assert page.locator("#dcgan-lab canvas").count() > 10 and not page.errors
        server.shutdown()


@pytest.mark.browser
def test_sliders_move_the_picture_and_reset(lab_page):
    start = canvas(lab_page, "Sliders")
    smile = lab_page.get_by_role("slider", name="smile", exact=True)
    smile.focus()
    for _ in range(12):
        lab_page.keyboard.press("ArrowRight")
    assert smile.input_value() == "1.2"
    moved = canvas(lab_page, "Sliders")
    assert moved != start
    label = lab_page.locator("section[aria-label='Sliders'] canvas").get_attribute("aria-label")
    first = lab_page.get_by_role("spinbutton", name="No. of the picture").input_value()
    assert label == f"picture number {first}, smile 1.2"
    lab_page.get_by_role("button", name="Reset the sliders").click()
    assert canvas(lab_page, "Sliders") == start and smile.input_value() == "0"
    lab_page.get_by_role("button", name="Another one").click()
    assert canvas(lab_page, "Sliders") != start
    with lab_page.expect_download() as download:
        lab_page.get_by_role("button", name="Save the picture").click()
    assert re.fullmatch(r"dcgan-\d+\.png", download.value.suggested_filename)
    said = lab_page.locator("section[aria-label='Sliders'] .lab-status")  # beside its control
    assert said.inner_text() == "picture saved" and not lab_page.errors


@pytest.mark.browser
def test_a_number_that_is_none_is_refused(open_lab, tmp_path):
    page = open_lab(export.lab(calibrated("tiny32"), tmp_path, first=11))
    number = page.get_by_role("spinbutton", name="No. of the picture")
    said, start = page.locator("section[aria-label='Sliders'] .lab-status"), canvas(page, "Sliders")
    for wrong in ("", "-3", "2.5", "1000000"):
        number.fill(wrong)
        number.dispatch_event("change")
        assert said.inner_text() == "a picture's number is a whole number from 0 to 999999: still number 11"
        assert number.input_value() == "11" and canvas(page, "Sliders") == start
    number.fill("12")
    number.dispatch_event("change")
    assert said.inner_text() == "" and canvas(page, "Sliders") != start and not page.errors
    for typed, value in (("1e3", "1000"), ("007", "7")):  # one number has one way to be written
        number.fill(typed)
        number.dispatch_event("change")
        label = page.locator("section[aria-label='Sliders'] canvas").get_attribute("aria-label")
        assert number.input_value() == value and label == f"picture number {value}"


@pytest.mark.browser
@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_a_warning_where_a_slider_leaves_what_was_learnt(prior, open_lab, tmp_path):
    generator = calibrated("tiny32", prior=prior)
    page = open_lab(export.lab(generator, tmp_path))
    warning = page.locator(".lab-warning")
    outside = page.evaluate("n => { const l = window.DCGAN_LAB; return Array.from(l.latentOf(n)); }", 7)
    assert warning.inner_text() == "", np.linalg.norm(outside)  # a sample of the prior
    for slider in page.locator("section[aria-label='Sliders'] input[type=range]").all():
        slider.fill("4")
    assert "outside of what the generator has learnt" in warning.inner_text()
    page.get_by_role("button", name="Reset the sliders").click()
    assert warning.inner_text() == "" and not page.errors


def test_prior_lengths_of_the_warning():
    """Nearly no sample of a normal prior is warned of: its length is √n, give or take 2.5."""
    for n in (32, 100, 512):
        lengths = models.sample_latent(20_000, models.architecture("tiny32", latent_dim=n, prior="normal"), 0).norm(
            dim=1
        )
        assert ((lengths - n**0.5).abs() > 2.5).float().mean() < 2e-3


@pytest.mark.browser
def test_walk_goes_from_a_to_b(lab_page):
    position = lab_page.get_by_role("slider", name="A to B, position on the walk")
    for value, end in (("0", 1), ("100", 2)):  # the big picture comes first, then A, then B
        position.fill(value)
        assert canvas(lab_page, "Walk between two pictures") == canvas(lab_page, "Walk between two pictures", end)
    lab_page.get_by_role("button", name="From the sliders, as A").click()
    position.fill("0")
    assert canvas(lab_page, "Walk between two pictures") == canvas(lab_page, "Sliders")
    lab_page.get_by_role("button", name="Play").click()
    lab_page.wait_for_function("document.querySelector('[aria-label^=\"A to B\"]').value > 3")
    lab_page.get_by_role("button", name="Stop").click()


@pytest.mark.browser
def test_arithmetic_adds_and_subtracts(lab_page):
    part = lab_page.get_by_role("region", name="Arithmetic")
    before = canvas(lab_page, "Arithmetic")
    part.get_by_role("button", name=re.compile("fill A")).click()
    for number in (100, 101, 102):  # A, B, C in turn
        part.get_by_role("button", name=f"number {number}", exact=True).click()
    after = canvas(lab_page, "Arithmetic")
    assert after != before
    drawn = lab_page.evaluate(
        """() => { const l = window.DCGAN_LAB, [a, b, c] = [100, 101, 102].map(l.latentOf);
        return Array.from(l.draw(a.map((v, i) => v - b[i] + c[i]))); }"""
    )
    shown = lab_page.evaluate(
        """() => { const c = document.querySelector("section[aria-label='Arithmetic'] canvas");
        return Array.from(c.getContext("2d").getImageData(0, 0, c.width, c.height).data); }"""
    )
    size = checkpoints.load("faces")[0].arch.image_size
    expected = data.to_uint8(torch.tensor(drawn).view(1, size, size, 3).permute(0, 3, 1, 2))[0]
    assert (np.abs(np.array(shown).reshape(size, size, 4)[:, :, :3] - expected.astype(int)) <= 1).all()
    part.get_by_role("button", name="→ smiling man").click()
    assert canvas(lab_page, "Arithmetic") != after
    tried = [seed["sums"]["smiling man"]["typical"] for seed in results.load("latent_faces")["measured"]["seeds"]]
    share = sum(seen for seen, _ in tried) / sum(n for _, n in tried)
    assert f"in {share:.0%} of {sum(n for _, n in tried)} such sums" in part.locator(".lab-status").inner_text()


@pytest.mark.browser
def test_the_lab_fits_a_phone_and_the_dark(open_lab):
    path = BUILT / "book" / "lab.html"
    if not path.exists():
        pytest.skip("build the book first: make book")
    page = open_lab(path, viewport={"width": 375, "height": 800}, color_scheme="dark")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    slider = page.locator("section[aria-label='Sliders'] input[type=range]").last
    slider.scroll_into_view_if_needed()
    slider.evaluate("node => node.scrollIntoView({block: 'end'})")
    box = page.locator("section[aria-label='Sliders'] canvas").bounding_box()
    header = page.locator(".bd-header-article").bounding_box()
    assert box["y"] >= header["y"] + header["height"]  # the result stays in view, below the header
    assert box["y"] + box["height"] <= slider.bounding_box()["y"]
    colours = page.evaluate(
        """() => ["color", "backgroundColor"].map(k => getComputedStyle(k === "color"
        ? document.querySelector(".lab-slider") : document.body)[k])"""
    )
    light, dark = (np.mean([int(v) for v in re.findall(r"\d+", c)[:3]]) for c in colours)
    assert light - dark > 100, colours
    unnamed = page.evaluate(
        "() => [...document.querySelectorAll('#dcgan-lab :is(button, input, canvas)')]"
        ".filter(n => !(n.getAttribute('aria-label') || n.textContent.trim())).length"
    )
    assert unnamed == 0
