"""The model card of an exported network."""

from dataclasses import dataclass

from nas_space.architecture import Architecture
from studies.records import Evaluation, Study
from trainers.data import Dataset

_NAMES = 20
_TEMPLATE = """\
# {name}

A convolutional network for {classes} classes, found by convnas in the space `{space}`.

| what | value |
| --- | --- |
| test accuracy | {test:.2%} |
| validation accuracy | {val:.2%} |
| validation accuracy in the search | {proxy:.2%} ({proxy_recipe}, {proxy_epochs} epochs) |
| MACs | {macs:,} multiply-adds per image, which papers call FLOPs |
| parameters | {params:,} |
| input | {shape} image, values 0 to 1 |
| classes | {names} |

The test images were looked at {looks} time(s) for networks of this study; a search sees only
training and validation images.

## Load

In this folder, where convnas is installed:

```python
from load import load
network = load()
logits = network(images)  # images: float tensor (N, {shape}), 0 to 1
```

Normalisation is part of the network: mean {mean}, standard deviation {std}.

## How it was made

- data set: {dataset} (fingerprint {fingerprint})
- training: {training}: {recipe}, {epochs} epochs, {images:,} images, seed {seed}
- study {study}, trial {trial}, architecture {key}, searched by `{command}`

## Layers

{layers}
"""


@dataclass(frozen=True, slots=True)
class Card:
    """What a model card tells, but for the accuracies.

    Attributes:
        study: that it was found in.
        chosen: the evaluation that was exported.
        dataset: that the weights were trained on.
        recipe: name of the recipe that trained the weights.
        epochs: of that training.
        seed: of that training.
    """

    study: Study
    chosen: Evaluation
    dataset: Dataset
    recipe: str
    epochs: int
    seed: int

    def text(self, val: float, test: float, looks: int, *, retrained: bool) -> str:
        """The card as Markdown.

        Args:
            val: accuracy of the exported weights on the validation images.
            test: their accuracy on the test images.
            looks: how often this study's test images were looked at.
            retrained: whether the weights were trained anew.
        """
        data, chosen = self.dataset.search, self.chosen
        architecture = Architecture.from_json(chosen.architecture)
        layers = (
            f"- {layer.name}: {layer.conv}, {layer.c_out} channels"
            + ", stride 2" * (layer.stride > 1)
            for layer in architecture.layers()
        )
        return _TEMPLATE.format(
            name=f"{self.study.name} trial {chosen.number}",
            classes=len(data.classes),
            names=", ".join(data.classes[:_NAMES]) + ", …" * (len(data.classes) > _NAMES),
            space=chosen.space,
            test=test,
            val=val,
            proxy=chosen.val_accuracy,
            proxy_recipe=chosen.recipe,
            proxy_epochs=chosen.epochs,
            macs=chosen.macs,
            params=chosen.params,
            shape=", ".join(map(str, data.shape)),
            looks=looks,
            mean=_numbers(data.mean),
            std=_numbers(data.std),
            dataset=data.name,
            fingerprint=self.dataset.fingerprint,
            training="trained anew for the export" if retrained else "the search's own",
            recipe=self.recipe,
            epochs=self.epochs,
            seed=self.seed,
            images=len(data.train),
            study=self.study.name,
            trial=chosen.number,
            key=chosen.key,
            command=self.study.command,
            layers="\n".join(layers),
        )


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
