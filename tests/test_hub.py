"""Networks on the Hugging Face hub, without the network: what would be uploaded, and what is read back."""

import json
import sys
from pathlib import Path

import pytest
import torch

from dcgan_lib import checkpoints, models, sheets

huggingface_hub = pytest.importorskip("huggingface_hub")

from dcgan_lib.hub import DCGAN  # noqa: E402


@pytest.fixture
def pair():
    networks = models.build("tiny32", seed=0)
    about = {"step": 1500, "config": {"data": "anime", "batch_size": 64}}
    return DCGAN(*(network.eval() for network in networks), about)


def same(a, b):
    return all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())


def test_saved_and_read_from_a_folder(pair, tmp_path):
    pair.save_pretrained(tmp_path / "mine")
    again = DCGAN.from_pretrained(str(tmp_path / "mine"))
    assert same(pair.generator, again.generator) and same(pair.discriminator, again.discriminator)
    assert again.about == pair.about and again.generator.arch == pair.generator.arch
    config = json.loads((tmp_path / "mine" / "config.json").read_text())
    assert config["architecture"] == pair.generator.arch.to_dict()


def test_a_discriminator_alone(tmp_path):
    DCGAN.of("imagenet32").save_pretrained(tmp_path)
    again = DCGAN.from_pretrained(str(tmp_path))
    assert again.generator is None and same(checkpoints.load("imagenet32")[1], again.discriminator)
    assert "Discriminator (4,586,112 parameters)" in (tmp_path / "README.md").read_text()


def test_the_card_says_where_the_weights_come_from(pair):
    card = pair.generate_model_card(repository="me/anime")
    count = models.parameter_count(pair.generator)
    for words in (f"Generator ({count:,} parameters)", "1,500 steps of 64", "32x32 pixels, colour", "me/anime"):
        assert words in card.content
    assert card.data.library_name == "dcgan_lib" and "dcgan" in card.data.tags
    assert "{{" not in card.content
    bare = DCGAN(pair.generator).generate_model_card().content
    assert "the file does not name" in bare and "None" not in bare


def test_the_card_counts_frozen_parameters(pair):
    card = pair.generate_model_card().content
    pair.generator.requires_grad_(False)
    assert pair.generate_model_card().content == card


def test_neither_network_is_refused():
    with pytest.raises(ValueError, match="expected a generator, a discriminator or both, got neither"):
        DCGAN(None)


def test_push_uploads_what_hf_names_read(pair, tmp_path, monkeypatch):
    uploaded = {}

    class Api:
        def __init__(self, token=None):
            pass

        def create_repo(self, repo_id, **_):
            return type("Url", (), {"repo_id": repo_id})()

        def upload_folder(self, *, repo_id, folder_path, **_):
            uploaded[repo_id] = {path.name: path.read_bytes() for path in Path(folder_path).iterdir()}
            return f"address of {repo_id}"

    monkeypatch.setattr("huggingface_hub.hub_mixin.HfApi", Api)
    assert pair.push_to_hub("me/anime") == "address of me/anime"
    files = uploaded["me/anime"]
    assert set(files) == {"weights.safetensors", "config.json", "README.md"}
    assert b"# anime" in files["README.md"] and b'from_pretrained("me/anime")' in files["README.md"]

    revisions = []

    def download(repo_id, filename, **options):
        revisions.append(options.get("revision"))
        path = tmp_path / filename
        path.write_bytes(uploaded[repo_id][filename])
        return str(path)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr("huggingface_hub.hub_mixin.hf_hub_download", download)
    again = DCGAN.from_pretrained("me/anime", revision="v2")
    assert revisions and set(revisions) == {"v2"}
    for generator, discriminator in (checkpoints.load("hf:me/anime"), (again.generator, again.discriminator)):
        assert same(pair.generator, generator) and same(pair.discriminator, discriminator)


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delitem(sys.modules, "dcgan_lib.hub")
    with pytest.raises(ImportError, match=r"pip install 'dcgan_lib\[hub\]'"):
        import dcgan_lib.hub  # noqa: F401


def test_the_card_of_a_run_names_its_pictures_and_their_licence(tmp_path):
    from dcgan_lib import data, training

    settings = {"arch": "tiny32", "steps": 2, "batch_size": 8, "device": "cpu", "progress": False}
    card = DCGAN.of(training.train("digits", out=tmp_path / "run", **settings).out).generate_model_card().content
    assert data.CARDS["digits"].title in card and data.CARDS["digits"].licence in card and "2 steps of 8" in card
    folder = tmp_path / "private" / "cats"
    pictures = data.load("digits", image_size=32).images[:16]
    for i, picture in enumerate(pictures):
        sheets.save(folder / f"{i}.png", picture.squeeze())
    card = DCGAN.of(training.train(str(folder), out=tmp_path / "own", **settings).out).generate_model_card().content
    assert "trained on cats" in card and "private" not in card


@pytest.mark.parametrize(
    ("classes", "words"), [(0, "latent)"), (10, "labels=torch.arange(64) % generator.arch.classes")]
)
def test_the_card_s_lines_run(classes, words):
    network = DCGAN(models.build("tiny32", seed=0, classes=classes)[0].eval())
    lines = network._call("me/own").splitlines()
    assert words in lines[-1]
    names = {"torch": torch, "models": models, "DCGAN": type("", (), {"from_pretrained": lambda name: network})}
    exec("\n".join(lines), names)
    assert names["images"].shape == (64, 3, 32, 32)
