"""The widgets, driven as a reader drives them: sliders moved, buttons clicked, pictures compared."""

import base64
import io
import json
import statistics
import time

import numpy as np
import processes
import pytest
import torch
from PIL import Image

from dcgan_lib import checkpoints, data, inspection, latent, models, widgets


@pytest.fixture
def generator():
    g, _ = models.build("tiny32", seed=0)
    models.calibrate(g, [models.sample_latent(64, g.arch, 1)])
    return g.eval()


def pixels(png: bytes, generator) -> np.ndarray:
    """What a PNG shows, taken back to the generator's size."""
    picture, size = np.asarray(Image.open(io.BytesIO(png))), generator.arch.image_size
    step = picture.shape[0] // size
    assert (picture[::step, ::step] == picture[step - 1 :: step, step - 1 :: step]).all()  # whole pixels, no smoothing
    return picture[::step, ::step]


def drawn(generator, z) -> np.ndarray:
    return data.to_uint8(models.sample(generator, z.reshape(1, -1)))[0]


def axes(generator):
    return {"up": torch.eye(generator.arch.latent_dim)[0], "down": torch.eye(generator.arch.latent_dim)[1]}


def test_explorer_draws_what_the_sliders_say(generator):
    explorer = widgets.LatentExplorer(generator, axes(generator), seed=3)
    start = models.sample_latent(1, generator.arch, 3)
    assert (pixels(explorer.picture.value, generator) == drawn(generator, start)).all()
    explorer.sliders["up"].value = 2.0
    explorer.sliders["down"].value = -1.5
    moved = start.clone()
    moved[0, 0] += 2.0
    moved[0, 1] -= 1.5
    assert torch.allclose(explorer.latent, moved)
    assert (pixels(explorer.picture.value, generator) == drawn(generator, moved)).all()
    assert not (drawn(generator, moved) == drawn(generator, start)).all()


def test_explorer_buttons(generator, tmp_path, monkeypatch):
    explorer = widgets.LatentExplorer(generator, axes(generator), seed=3, folder=tmp_path / "pictures")
    first = explorer.picture.value
    explorer.sliders["up"].value = 1.0
    draws = []
    draw = explorer._image
    monkeypatch.setattr(explorer, "_image", lambda z: draws.append(z) or draw(z))
    explorer.reset.click()
    assert [s.value for s in explorer.sliders.values()] == [0, 0] and len(draws) == 1  # one picture, not one a slider
    assert torch.equal(draws[0], models.sample_latent(1, generator.arch, 3)) and explorer.picture.value == first
    explorer.random.click()
    assert explorer.seed.value != 3 and explorer.picture.value != first
    explorer.save.click()
    (path,) = (tmp_path / "pictures").glob("*.png")
    assert path.name == f"dcgan_{explorer.seed.value}.png" and str(path) in explorer.message.value
    assert (np.asarray(Image.open(path)) == drawn(generator, explorer.latent)).all()


def test_explorer_replaces_no_picture(generator, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    explorer = widgets.LatentExplorer(generator, axes(generator), seed=5, folder="~/pictures")
    for i, name in enumerate(("dcgan_5.png", "dcgan_5_2.png", "dcgan_5_3.png")):
        explorer.sliders["up"].value = float(i)
        explorer.save.click()
        path = tmp_path / "pictures" / name
        assert explorer.message.value == f"saved {path}"
        assert (np.asarray(Image.open(path)) == drawn(generator, explorer.latent)).all()
    assert len(list((tmp_path / "pictures").iterdir())) == 3


@pytest.mark.parametrize("seed", [2**40, 2**31, -3])
def test_explorer_refuses_a_seed_that_its_field_cannot_show(generator, seed):
    with pytest.raises(ValueError, match=f"seed must be from 0 to 2147483647, got {seed}"):
        widgets.LatentExplorer(generator, axes(generator), seed=seed)


def test_explorer_says_when_it_cannot_save(generator, tmp_path):
    (tmp_path / "file").write_text("in the way")
    explorer = widgets.LatentExplorer(generator, axes(generator), folder=tmp_path / "file")
    explorer.save.click()
    assert explorer.message.value.startswith("not saved: ")


def test_explorer_takes_principal_axes_by_itself(generator):
    explorer = widgets.LatentExplorer(generator)
    assert list(explorer.sliders) == [f"axis {i}" for i in range(1, 7)]
    before = explorer.picture.value
    explorer.sliders["axis 1"].value = 4.0
    assert explorer.picture.value != before


def test_explorer_has_no_more_sliders_than_latents():
    generator = models.build("tiny32", seed=0, widths=(4, 4, 4), latent_dim=2)[0].eval()
    assert list(widgets.LatentExplorer(generator).sliders) == ["axis 1", "axis 2"]


def test_walk_player_shows_each_step(generator):
    walk = latent.interpolate(models.sample_latent(3, generator.arch, 0), 4)
    player = widgets.WalkPlayer(generator, walk)
    assert player.position.max == player.play.max == 6
    for step in (0, 5, 2):
        player.position.value = step
        assert (pixels(player.picture.value, generator) == drawn(generator, walk[step])).all()
    still = Image.open(io.BytesIO(player.still()))
    assert still.size == (7 * 64, 64)
    with pytest.raises(ValueError, match="expected a walk"):
        widgets.WalkPlayer(generator, walk[:1])


def test_arithmetic_table_fills_slots_in_turn(generator):
    choices = models.sample_latent(5, generator.arch, 2)
    table = widgets.ArithmeticTable(generator, choices, list("vwxyz"))
    assert torch.equal(table.result, choices[0] - choices[1] + choices[2])
    for button in (4, 3, 0):
        table.buttons[button].click()
    assert table.slot.value == "A" and table.chosen == {"A": 4, "B": 3, "C": 0}
    assert torch.equal(table.result, choices[4] - choices[3] + choices[0])
    assert (pixels(table.picture.value, generator) == drawn(generator, table.result)).all()
    assert (pixels(table.terms["B"].value, generator) == drawn(generator, choices[3])).all()
    table.slot.value = "C"
    table.buttons[1].click()
    assert table.chosen == {"A": 4, "B": 3, "C": 1}
    with pytest.raises(ValueError, match="3 or more choices"):
        widgets.ArithmeticTable(generator, choices, ["one"])


def test_widgets_stand_as_pictures_where_there_is_no_kernel(generator):
    walk = latent.interpolate(models.sample_latent(2, generator.arch, 0), 9)
    shown = (widgets.LatentExplorer(generator), widgets.WalkPlayer(generator, walk), widgets.ArithmeticTable(generator))
    for widget in shown:
        bundle = widget._repr_mimebundle_()
        assert "application/vnd.jupyter.widget-view+json" in bundle
        png = base64.b64decode(bundle["image/png"])
        assert png == widget.still() and np.asarray(Image.open(io.BytesIO(png))).std() > 5


def test_labelling_saves_each_box(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    path = tmp_path / "boxes" / "windows.json"
    tool = widgets.BoxLabeller(images, path, "window")
    start = tool.picture.value
    tool.rows.value, tool.columns.value = (20, 28), (4, 12)  # the vertical slider counts from below
    assert tool.picture.value != start
    tool.add.click()
    tool.columns.value = (16, 20)
    tool.add.click()
    tool.undo.click()
    tool.columns.value = (20, 20)  # both handles meet
    tool.add.click()
    assert "empty" in tool.message.value
    tool.next.click()
    assert tool.at.value == 1
    tool.next.click()  # nothing there
    assert json.loads(path.read_text()) == {"label": "window", "boxes": {"0": [[4, 12, 4, 12]], "1": []}}
    assert tool.message.value == "window: 2 of 4 pictures looked at, 1 show it, 1 boxes"
    again = widgets.BoxLabeller(images, path, "window")
    assert again.at.value == 2 and again.boxes == tool.boxes  # goes on
    with pytest.raises(ValueError, match="holds boxes of 'window', expected 'tree'"):
        widgets.BoxLabeller(images, path, "tree")
    pictures, masks = inspection.box_masks(path, side=16, image_size=32)
    assert pictures.tolist() == [0, 1] and masks.sum() == 16 and masks[0, 2:6, 2:6].all()
    assert json.loads(path.read_text())["boxes"].keys() == {"0", "1"}
    bundle = again._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]) == again.picture.value


def test_a_file_of_boxes_says_who_labelled(tmp_path):
    """What a file says besides its boxes stays, whoever goes on; another's labels are not gone on with."""
    images, path = np.zeros((3, 32, 32, 3), np.uint8), tmp_path / "windows.json"
    widgets.BoxLabeller(images, path, "window", {"by": "one person", "pictures": "a1"}).next.click()
    assert json.loads(path.read_text()) == {
        "label": "window", "by": "one person", "pictures": "a1", "boxes": {"0": []}
    }  # fmt: skip
    widgets.BoxLabeller(images, path, "window").add.click()
    assert json.loads(path.read_text()) == {
        "label": "window", "by": "one person", "pictures": "a1", "boxes": {"0": [], "1": [[8, 24, 8, 24]]}
    }  # fmt: skip
    with pytest.raises(ValueError, match="says 'by': 'one person', expected 'another': choose another file"):
        widgets.BoxLabeller(images, path, "window", {"by": "another"})


def labeller(path, n=4):
    return widgets.BoxLabeller(np.zeros((n, 32, 32, 3), np.uint8), path, "window")


def test_boxes_of_pictures_that_are_not_there_are_kept_and_not_counted(tmp_path):
    path = tmp_path / "windows.json"
    boxes = {"0": [[1, 2, 3, 4]], "5": [[1, 2, 3, 4]], "7": []}
    path.write_text(json.dumps({"label": "window", "boxes": boxes}))
    tool = labeller(path, 2)
    assert tool.at.value == 1 and tool.message.value == "window: 1 of 2 pictures looked at, 1 show it, 1 boxes"
    tool.next.click()
    assert tool.message.value == "window: 2 of 2 pictures looked at, 1 show it, 1 boxes"
    assert json.loads(path.read_text())["boxes"] == boxes | {"1": []}


def test_no_pictures_to_label_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected at least one picture to label, got none"):
        labeller(tmp_path / "windows.json", 0)


def test_two_who_label_one_file_lose_nothing(tmp_path):
    path = tmp_path / "windows.json"
    one, two = labeller(path), labeller(path)
    one.add.click()  # picture 0, the box [8, 24, 8, 24]
    two.columns.value = (2, 6)
    two.add.click()  # the same picture, of which this one has not yet seen the first box
    assert json.loads(path.read_text())["boxes"] == {"0": [[8, 24, 8, 24], [8, 24, 2, 6]]}
    two.at.value = 2
    two.next.click()
    one.undo.click()  # takes its own box away, not the other's
    assert json.loads(path.read_text())["boxes"] == {"0": [[8, 24, 2, 6]], "2": []} == one.boxes
    assert one.message.value == "window: 2 of 4 pictures looked at, 1 show it, 1 boxes"


def _labels(path, me: int, each: int) -> None:
    tool = labeller(path, 2)
    tool.at.value, tool.rows.value = 1, (0, 32)
    for i in range(each):
        tool.columns.value = (i, 16 + me)
        tool.add.click()
    assert not tool.unsaved, tool.message.value


def test_many_processes_that_label_one_file_lose_nothing(tmp_path):
    path, each = tmp_path / "windows.json", 12
    workers = [processes.Forked(_labels, path, me, each) for me in range(2)]
    done = processes.ended(workers, timeout=120)
    assert [worker.returncode for worker in workers] == [0, 0], done.stderr
    boxes = json.loads(path.read_text())["boxes"]["1"]
    assert sorted(boxes) == sorted([0, 32, i, 16 + me] for me in range(2) for i in range(each))


def test_a_failed_save_is_said_until_one_succeeds(tmp_path, monkeypatch):
    (tmp_path / "folder").write_text("in the way")
    path = tmp_path / "folder" / "windows.json"
    tool = labeller(path)
    tool.add.click()
    assert tool.message.value.startswith("NOT SAVED, 1 changes wait")
    tool.at.value = 1  # draws anew
    assert tool.message.value.startswith("NOT SAVED, 1 changes wait")
    tool.next.click()
    assert tool.message.value.startswith("NOT SAVED, 2 changes wait") and tool.boxes == {"0": [[8, 24, 8, 24]], "1": []}
    (tmp_path / "folder").unlink()
    tool.add.click()
    assert tool.message.value == "window: 3 of 4 pictures looked at, 2 show it, 2 boxes"
    assert json.loads(path.read_text())["boxes"] == {"0": [[8, 24, 8, 24]], "1": [], "2": [[8, 24, 8, 24]]}
    monkeypatch.setattr(checkpoints, "write_bytes", full_disk)
    before = path.read_bytes()
    tool.undo.click()
    assert "No space left" in tool.message.value and path.read_bytes() == before
    monkeypatch.undo()
    tool.next.click()
    assert json.loads(path.read_text())["boxes"]["2"] == []
    before = json.loads(path.read_text())
    path.rename(tmp_path / "moved.json")
    tool.next.click()
    assert json.loads(path.read_text()) == {**before, "boxes": {**before["boxes"], "3": []}}


def full_disk(path, data):
    raise OSError(28, f"No space left on device: {path}")


def test_a_file_that_changes_its_label_or_breaks_is_not_overwritten(tmp_path):
    path = tmp_path / "windows.json"
    tool = labeller(path)
    for text in (
        '{"label": "tree", "boxes": {}}',
        '{"label": "window", "boxes"',
        "[1]",
        '{"label": "window", "boxes": 3}',
    ):
        path.write_text(text)
        tool.add.click()
        assert tool.message.value.startswith("NOT SAVED") and path.read_text() == text
    for text in ("", "null", '{"label": "window", "boxes": {"a": []}}', '{"label": "window", "boxes": {"0": [["x"]]}}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"windows\.json is no file of boxes"):
            labeller(path)


def test_a_face_is_redrawn_within_a_tenth_of_a_second():
    explorer = widgets.LatentExplorer(checkpoints.load("faces")[0])
    times = []
    for i in range(9):
        start = time.perf_counter()
        explorer.sliders["axis 1"].value = (i + 1) / 10
        times.append(time.perf_counter() - start)
    assert statistics.median(times) < 0.1


def test_labels_under_the_home_folder_are_kept(tmp_path, monkeypatch):
    """Read and locked where they are written: `~` is one place."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    pictures = np.zeros((3, 16, 16, 3), np.uint8)
    first = widgets.BoxLabeller(pictures, "~/boxes.json", "tree")
    first.add.click()
    second = widgets.BoxLabeller(pictures, "~/boxes.json", "tree")
    assert second.boxes == first.boxes and len(second.boxes["0"]) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["home"]
    assert inspection.box_masks("~/boxes.json", 4, 16)[0].tolist() == [0]


def test_latents_of_another_width_are_refused(generator):
    with pytest.raises(ValueError, match="latents of width 32 for this generator"):
        widgets.WalkPlayer(generator, torch.zeros(3, 64))
