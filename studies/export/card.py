"""The model card of an exported network."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import starmap

from nas_space.bundle import Compared, Int8, Measured, Record, int8
from nas_space.bundle.forms import FORMS, ExportForm
from nas_space.cli import counted
from nas_space.opsets import OPSET, OPSETS
from studies.export import device
from studies.export.markdown import code, plain
from studies.objective import metric_of
from studies.records.tables import Evaluation, Study
from studies.retraining.retrained_front import Fidelity, Mean
from studies.retraining.summary import told
from trainers.data.balance import Answers, Largest
from trainers.data.splits import Dataset
from trainers.intervals import wilson
from trainers.latency import Latency
from trainers.metrics import ACCURACY, METRICS, Metric
from trainers.recipes import NO_BALANCE

_MOST_CLASS_NAMES = _MOST_CLASSES = 20
_TEMPLATE = """\
# {name}

A convolutional network for {classes} classes, found by convnas in the space {space}.

| what | value |
| --- | --- |
| test accuracy | {test} |
| validation {metric} | {val} |
| validation {metric} in the search, a proxy | {proxy} |
{balanced}{fresh}| MACs | {macs:,} multiply-adds per image, which papers call FLOPs |
| parameters | {params:,} |
{latencies}
| input | {shape} image, values 0 to 1 |
| classes | {names} |

The intervals hold with 95 % confidence (Wilson). The test images were looked at {looks} time(s)
for networks of this study; a search sees only training and validation images.

Latencies: the median, and the quartiles of all runs, in fp32 on {hardware}.

{int8}{device}## Load

In this folder, with torch and nothing else:

```python
import torch
from model import load
logits = load()(torch.rand(1, {shape}))  # images (N, {shape}), values 0 to 1
```

Normalisation (mean {mean}, standard deviation {std}) is inside.

## An image file

With Pillow, which `read_image` uses: it turns the image upright, {ground}
{mode}, cuts out its centre at the right shape, resizes that to {height}×{width} pixels
(bilinear), and divides by 255. Of levels of more than 8 bits {bits} are taken. A `.npy` file of
levels (H, W, C), uint8 or uint16, is read alike{tiff}.

```python
from model import CLASSES, load, read_image
probabilities = load()(read_image("photo.png")).softmax(dim=1)
print(CLASSES[probabilities.argmax()], probabilities.max().item())
```

## The other forms

All take images (N, {shape}), values 0 to 1, of any N, and all gave the same logits when this
was written.

```python
import onnxruntime, torch
images = torch.rand(7, {shape})
logits = torch.export.load("program.pt2").module()(images)
logits = onnxruntime.InferenceSession("model.onnx").run(None, {{"images": images.numpy()}})[0]
```

- `model.py` and `weights.safetensors`: plain PyTorch, to read, run and train onwards
- `model.onnx` has operators of opset {opset}, which onnxruntime {runtime} and newer load; the axis
  `batch` takes any length
- `program.pt2`, a `torch.export` program, and `model.onnx`: the same for inference, with
  normalisations folded into weights and chains of convolutions merged; the latencies are theirs
{forms}- `architecture.json`, `task.json`, `record.json`: for convnas, which predicts with this
  folder (`python -m studies.predict`) and trains it onwards (`python -m trainers.run`)
- `manifest.json`: sizes and SHA-256 of all of these

## How it was made

- data set: {dataset} (fingerprint {fingerprint})
- training: {training}: {recipe}, {epochs}, {images}, seed {seed}
- study {study}, trial {trial}, architecture {key}, searched by {command}

{class_figures}
{layers}"""


@dataclass(frozen=True, slots=True)
class Card:
    """The content of a model card.

    Attributes:
        study: that it was found in.
        chosen: the evaluation that was exported.
        dataset: that the weights were trained on.
        record: the accuracies.
        anew: whether the network was trained again for the export.
        answers: to the test images.
        val_answers: to the validation images; None if they are not known.
        latencies: of the exported network, and of which form in which runtime each is.
        hardware: that the latencies were measured on.
        looks: how often accuracies on this study's test images were measured.
        fresh: mean validation accuracies of trainings with fresh seeds.
        opset: version of the operators in its ONNX form.
        dense: of each ONNX file the layers in groups that are written as dense ones.
    """

    study: Study
    chosen: Evaluation
    dataset: Dataset
    record: Record
    anew: bool
    answers: Answers
    val_answers: Answers | None
    latencies: Sequence[tuple[str, Latency]]
    hardware: str
    looks: int
    fresh: Mapping[Fidelity, Mean] = field(default_factory=dict)
    opset: int = OPSET
    dense: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def text(self) -> str:
        """The card as Markdown."""
        data, chosen, trained = self.dataset.search, self.chosen, self.record.validation
        channels, height, width = data.shape
        architecture, metric = chosen.parsed_architecture, metric_of(self.study)
        layers = [
            f"- {plain(layer.name)}: {layer.conv}, {layer.c_out} channels"
            + ", stride 2" * (layer.stride > 1)
            for layer in architecture.layers()
        ]
        return _TEMPLATE.format(
            name=plain(f"{self.study.name} trial {chosen.number}"),
            classes=len(data.classes),
            names=", ".join(map(plain, data.classes[:_MOST_CLASS_NAMES]))
            + ", …" * (len(data.classes) > _MOST_CLASS_NAMES),
            space=code(chosen.space),
            test=_told(self.record.test, ACCURACY),
            metric=plain(metric.name),
            val=f"{_told(trained, metric)} "
            f"({plain(trained.recipe)}, {counted(trained.epochs, 'epoch')})",
            proxy=f"{metric.write(self.record.search.accuracy)} "
            f"({plain(self.record.search.recipe)}, "
            f"{counted(self.record.search.epochs, 'epoch')})",
            fresh="".join(
                f"| ... of {mean.count} fresh seeds, mean and 95 % interval | {told(mean, metric)} "
                f"({plain(str(fidelity))}) |\n"
                for fidelity, mean in self.fresh.items()
            ),
            balanced="".join(map(_row, self._balanced())),
            macs=chosen.macs,
            params=chosen.params,
            latencies="\n".join(starmap(_timed, self.latencies)),
            hardware=plain(self.hardware),
            shape=", ".join(map(str, data.shape)),
            height=height,
            width=width,
            mode={1: "makes it grey", 3: "makes it RGB"}.get(
                channels, f"takes its {channels} channels as they are"
            ),
            tiff=""
            if channels in (1, 3)
            else ", and so are the pages of a TIFF, and with tifffile the values of its pixels",
            bits=self.dataset.reading.bits,
            ground="leaves transparency out,"
            if self.dataset.reading.earlier
            else "puts what is transparent on white,",
            looks=self.looks,
            mean=_numbers(data.mean),
            std=_numbers(data.std),
            dataset=plain(data.name),
            fingerprint=self.dataset.fingerprint,
            training="trained anew for the export" if self.anew else "the search's own",
            recipe=plain(trained.recipe) + self._balance(),
            epochs=counted(trained.epochs, "epoch"),
            seed=trained.seed,
            images=counted(len(data.train), "image"),
            study=plain(self.study.name),
            trial=chosen.number,
            key=chosen.key,
            command=code(self.study.command),
            class_figures=_section("Classes", [*self._classes()]),
            layers=_section("Layers", layers),
            forms="".join([*starmap(_dense, self.dense.items()), *map(_form, FORMS.all().items())]),
            int8="" if self.record.int8 is None else _in_int8(self.record.int8),
            device="" if self.record.device is None else device.section(self.record.device),
            opset=self.opset,
            runtime=OPSETS[self.opset],
        )

    def _balance(self) -> str:
        found = self.study.recipe.get("balance", NO_BALANCE)
        return "" if found == NO_BALANCE else f" with classes balanced by {found}"

    def _balanced(self) -> Iterator[tuple[str, str]]:
        """What to hold the accuracies against, and where classes are unequal, what hides there."""
        data = self.dataset.search
        largest = Largest.of(data.classes, data.val.labels)
        said = f"accuracy of always saying {plain(largest.name)}, the largest class"
        yield said, f"{largest.share:.2%} of the validation images"
        for metric in METRICS.all().values():
            mine = metric.name == metric_of(self.study).name
            if metric.of is None or metric.is_accuracy or not (largest.unequal or mine):
                continue
            yield f"test {metric.name}, {metric.meaning}", metric.write(metric.of(self.answers))
            if self.val_answers is not None and not mine:  # that of the study stands above
                value = metric.write(metric.of(self.val_answers))
                yield f"validation {metric.name}, {metric.meaning}", value

    def _classes(self) -> Iterator[str]:
        """A row about each class, at most `_MOST_CLASSES`: those that are known least."""
        answers, names = self.answers, self.dataset.search.classes
        known = [at for at, n in enumerate(answers.images) if n]
        if len(known) > _MOST_CLASSES:
            known.sort(key=lambda at: answers.recall[at] or 0.0)
            yield f"The {_MOST_CLASSES} of {len(names)} classes that are recognised least."
            yield ""
        yield "| class | test images | recall | its 95 % interval | precision | F1 |"
        yield "| --- | --- | --- | --- | --- | --- |"
        for at in known[:_MOST_CLASSES]:
            images, write = answers.images[at], ACCURACY.write
            low, high = wilson(answers.right[at] / images, images)
            yield (
                f"| {plain(names[at])} | {images:,} | {write(answers.recall[at])} "
                f"| {low:.2%} to {high:.2%} | {write(answers.precision[at])} "
                f"| {write(answers.f1[at])} |"
            )
        yield ""
        yield (
            "Recall: the share of a class's images that is answered right. Precision: the share "
            "of its answers that is right."
        )


_INT8 = """\
## In int8

`{file}` is the network in int8 for ONNX Runtime: static, a scale for each channel of a
weight, QDQ, with ranges of {calibration} training images. It is used as `model.onnx` is; its logits
differ a little. Both were measured in ONNX Runtime:

| what | float32 | int8 | int8 minus float32 |
| --- | --- | --- | --- |
{rows}
| file | {fp32_size:,} bytes | {int8_size:,} bytes | {size:.2f} times |
| latency, batch of 1 | {fp32_ms:.3g} ms | {int8_ms:.3g} ms | {time:.2f} times |

The differences are of the same images in pairs, with 95 % intervals (Agresti and Min). The test
images were read in the same look as above. Latencies: medians, in turns, on {hardware}.
{verdict}

"""


def _in_int8(small: Int8) -> str:
    """The section about the network in int8."""
    rows = [
        f"| {split} accuracy, {measured.images:,} images | {_share(measured.fp32, measured)} "
        f"| {_share(measured.int8, measured)} | {between(measured)} |"
        for split, measured in (("test", small.test), ("validation", small.validation))
    ]
    verdict = f"Points of validation accuracy that it may lose: {100 * small.allowed:g}."
    if small.loses_too_much:
        verdict += " **It loses more.**"
    if small.fp32_layers:
        names = ", ".join(map(code, small.fp32_layers))
        verdict += f" Layers that stay in float32, since int8 harms them most: {names}."
    return _INT8.format(
        file=int8.FILE,
        calibration=small.calibration,
        rows="\n".join(rows),
        fp32_size=small.fp32_bytes,
        int8_size=small.int8_bytes,
        size=small.int8_bytes / small.fp32_bytes,
        fp32_ms=1000 * small.fp32_seconds,
        int8_ms=1000 * small.int8_seconds,
        time=small.int8_seconds / small.fp32_seconds,
        hardware=plain(small.hardware),
        verdict=verdict,
    )


def between(measured: Compared) -> str:
    """What int8 wins or loses, in points, with its interval."""
    low, high = 100 * measured.low, 100 * measured.high
    return f"{0.0 - 100 * measured.lost:+.2f} points ({low:+.2f} to {high:+.2f})"


def _share(share: float, measured: Compared) -> str:
    low, high = wilson(share, measured.images)
    return f"{share:.2%} ({low:.2%} to {high:.2%})"


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"## {title}", "", *lines, ""]) if lines else ""


def _form(entry: tuple[str, ExportForm]) -> str:
    """A line about a plugin's form; ours have theirs."""
    name, form = entry
    if FORMS.is_ours(name):
        return ""
    return f"- {code(form.FILE)}: the form {plain(name)} of the plugin {FORMS.source(name)}\n"


def _row(cells: tuple[str, str]) -> str:
    return f"| {cells[0]} | {cells[1]} |\n"


def interval(measured: Measured) -> str:
    """The 95 % interval of an accuracy, and how many images it is of."""
    low, high = wilson(measured.accuracy, measured.images)
    return f"{low:.2%} to {high:.2%}, {measured.images:,} images"


def _told(measured: Measured, metric: Metric) -> str:
    value = metric.write(measured.accuracy)
    return f"{value} ({interval(measured)})" if metric.is_accuracy else value


def _dense(file: str, layers: Sequence[str]) -> str:
    """What is said of a file with layers in another form."""
    if not layers:
        return ""
    return (
        f"- in {code(file)} {counted(len(layers), 'layer')} with groups of channels are dense "
        "convolutions with the same function, because these were faster in ONNX Runtime here: "
        f"{', '.join(map(code, layers))}\n"
    )


def _timed(where: str, latency: Latency) -> str:
    low, high = (1000 * seconds for seconds in latency.quartiles)
    return (
        f"| latency, batch of {latency.batch}, {where} | {1000 * latency.median:.3g} ms "
        f"({low:.3g} to {high:.3g}, {latency.runs} runs) |"
    )


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
