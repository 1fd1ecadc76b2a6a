"""Networks on the Hugging Face hub: from_pretrained, save_pretrained and push_to_hub, with a model card (extra 'hub').

    from dcgan_lib.hub import DCGAN
    DCGAN.of("runs/mine").push_to_hub("owner/name")
    generator = DCGAN.from_pretrained("owner/name").generator

The methods are huggingface_hub's ModelHubMixin's; what lies in the repository is this library's weights.safetensors, so
that "hf:owner/name" names the same networks wherever the library takes a name.
"""

from __future__ import annotations

import json
from pathlib import Path

from . import checkpoints
from .data import CARDS
from .models import Discriminator, Generator, parameter_count

try:
    from huggingface_hub import ModelHubMixin
except ImportError as error:
    raise ImportError("the Hugging Face hub needs the extra: pip install 'dcgan_lib[hub]'") from error

CARD = """
---
{{ card_data }}
---

# {{ title }}

{{ networks }}, trained on {{ data }} for {{ steps }}. Pictures of {{ size }}, {{ latent }}. All settings are in
config.json.

```python
import torch
from dcgan_lib import models
from dcgan_lib.hub import DCGAN

{{ call }}
```

It draws what its training pictures show, with their biases, and is no source of facts about anybody in them.
Licence of the pictures: {{ licence }}.

- Code: {{ repo_url }}
- Paper: {{ paper_url }}
- Book: {{ docs_url }}
"""


class DCGAN(
    ModelHubMixin,
    library_name="dcgan_lib",
    tags=["dcgan", "gan"],
    repo_url="https://github.com/dcgan-reproduced/dcgan-reproduced",
    paper_url="https://arxiv.org/abs/1511.06434",
    docs_url="https://dcgan-reproduced.github.io/dcgan-reproduced",
    model_card_template=CARD,
):
    """A generator, a discriminator or both, as one repository of the hub.

    `about` (JSON) says where they come from, as `checkpoints.info(…)["about"]` does; the card is written from it.
    Raises ValueError for neither.
    """

    def __init__(self, generator: Generator | None, discriminator: Discriminator | None = None, about=None):
        if generator is None and discriminator is None:
            raise ValueError("expected a generator, a discriminator or both, got neither: DCGAN.of(…) reads a run's")
        self.generator, self.discriminator, self.about = generator, discriminator, about or {}

    @classmethod
    def of(cls, name_or_path: str | Path) -> DCGAN:
        """The networks of a run's folder, a file or a pretrained name. Raises as `checkpoints.load` does."""
        return cls(*checkpoints.load(name_or_path), checkpoints.info(name_or_path)["about"])

    def generate_model_card(self, **kwargs):
        """The card, from what the weights say of themselves; keyword arguments replace a part of it."""
        config, every = self.about.get("config", {}), (self.generator, self.discriminator)
        networks = [network for network in every if network is not None]
        arch, name = networks[0].arch, checkpoints.trained_on(self.about)
        steps, batch = self.about.get("step"), config.get("batch_size")
        said = (f"{type(n).__name__} ({parameter_count(n, frozen=True):,} parameters)" for n in networks)
        parts = {
            "title": "DCGAN",
            "networks": " and ".join(said),
            "data": CARDS[name].title if name in CARDS else name or "pictures that the file does not name",
            "steps": f"{steps:,} steps of {batch}"
            if steps and batch
            else "a number of steps that the file does not name",
            "size": f"{arch.image_size}x{arch.image_size} pixels, {'colour' if arch.channels == 3 else 'grey'}",
            "latent": f"z of {arch.latent_dim} {arch.prior} numbers"
            + (f", {arch.classes} classes" if arch.classes else ""),
            "repository": "owner/name",
            "licence": CARDS[name].licence if name in CARDS else "see their source",
        }
        parts |= kwargs
        return super().generate_model_card(call=self._call(parts["repository"]), **parts)

    def _call(self, repository: str) -> str:
        """The lines of Python that a reader of the card begins with."""
        if self.generator is None:
            return f'discriminator = DCGAN.from_pretrained("{repository}").discriminator'
        labels = ", labels=torch.arange(64) % generator.arch.classes" if self.generator.arch.classes else ""
        return (
            f'generator = DCGAN.from_pretrained("{repository}").generator\n'
            "latent = models.sample_latent(64, generator.arch, seed=0)\n"
            f"images = models.sample(generator, latent{labels})  # (64, C, H, W) in [-1, 1]"
        )

    def push_to_hub(self, repo_id: str, **kwargs) -> str:
        """Upload to owner/name and return its address. Keyword arguments: ModelHubMixin.push_to_hub's."""
        card = {"repository": repo_id, "title": repo_id.split("/")[-1]} | (kwargs.pop("model_card_kwargs", None) or {})
        return super().push_to_hub(repo_id, model_card_kwargs=card, **kwargs)

    def _save_pretrained(self, save_directory: Path) -> None:
        checkpoints.save(save_directory / checkpoints.FILE, self.generator, self.discriminator, self.about)
        header = checkpoints.info(save_directory / checkpoints.FILE)
        (save_directory / "config.json").write_text(json.dumps(header, indent=1) + "\n")

    @classmethod
    def _from_pretrained(
        cls, *, model_id, revision, cache_dir, force_download, local_files_only, token, **config
    ) -> DCGAN:
        if Path(model_id).is_dir():
            return cls.of(model_id)
        options = {"revision": revision, "cache_dir": cache_dir, "force_download": force_download, "token": token}
        return cls.of(checkpoints.from_hub(model_id, local_files_only=local_files_only, **options))
