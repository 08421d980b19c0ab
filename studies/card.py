"""The model card of an exported network."""

from dataclasses import dataclass

from nas_space.architecture import Architecture
from studies.records import Evaluation, Study

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
        recipe: name of the recipe that trained the weights.
        epochs: of that training.
        seed: of that training.
        images: number of training images.
    """

    study: Study
    chosen: Evaluation
    recipe: str
    epochs: int
    seed: int
    images: int

    def text(self, val: float, test: float, looks: int, *, retrained: bool) -> str:
        """The card as Markdown.

        Args:
            val: accuracy of the exported weights on the validation images.
            test: their accuracy on the test images.
            looks: how often this study's test images were looked at.
            retrained: whether the weights were trained anew.
        """
        dataset, chosen = self.study.dataset, self.chosen
        architecture = Architecture.from_json(chosen.architecture)
        layers = (
            f"- {layer.name}: {layer.conv}, {layer.c_out} channels"
            + ", stride 2" * (layer.stride > 1)
            for layer in architecture.layers()
        )
        return _TEMPLATE.format(
            name=f"{self.study.name} trial {chosen.number}",
            classes=len(dataset["classes"]),
            names=", ".join(dataset["classes"][:20]) + ", …" * (len(dataset["classes"]) > 20),  # noqa: PLR2004
            space=chosen.space,
            test=test,
            val=val,
            proxy=chosen.val_accuracy,
            proxy_recipe=chosen.recipe,
            proxy_epochs=chosen.epochs,
            macs=chosen.macs,
            params=chosen.params,
            shape=", ".join(map(str, dataset["shape"])),
            looks=looks,
            mean=_numbers(dataset["mean"]),
            std=_numbers(dataset["std"]),
            dataset=dataset["name"],
            fingerprint=dataset["fingerprint"],
            training="trained anew for the export" if retrained else "the search's own",
            recipe=self.recipe,
            epochs=self.epochs,
            seed=self.seed,
            images=self.images,
            study=self.study.name,
            trial=chosen.number,
            key=chosen.key,
            command=self.study.command,
            layers="\n".join(layers),
        )


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
