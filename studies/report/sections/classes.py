"""How right the network of the answer is in each class, and what it takes for what."""

from collections.abc import Iterator, Sequence

from nas_space.cli import counted
from studies.analysis.facts import Facts
from studies.pareto.knee import answer
from studies.report.html import Content, Markup, element, table
from studies.retraining.retrained_front import Finalist
from trainers.data.balance import Answers
from trainers.metrics import ACCURACY

_MOST_CLASSES = 20
"""In a matrix; of more classes those that are recognised least are shown, and the mistakes."""
_DARKEST_PERCENT = 55


def section(facts: Facts) -> Content:
    """The figures of each class and the confusion matrix; nothing where they are not known."""
    if not facts.front:
        return ""
    found = answer(facts.judged, facts.target)
    names = facts.study.dataset.get("classes") or []
    searched = (found.evaluation.parsed_answers,)
    # A database may come from anyone.
    fresh, once = (
        [each for each in known if each is not None and len(each.images) == len(names)]
        for known in (found.answers if isinstance(found, Finalist) else (), searched)
    )
    if not fresh and not once:
        return ""
    answers = Answers.together(fresh or once)
    many = len(names) > _MOST_CLASSES
    return element(
        "section",
        element("h2", "Classes"),
        element("p", " ".join(_explanation(facts, found.number, answers, len(fresh)))),
        table(("class", "images", "recall", "precision", "F1"), _rows(answers, names)),
        element("p", _MISTAKES if many else _MATRIX),
        _most_frequent(answers, names) if many else _matrix(answers, names),
    )


_MATRIX = "The confusion matrix: a row has the images of a class, a column those answered so."
_MISTAKES = "The most frequent mistakes."


def _explanation(facts: Facts, number: int, answers: Answers, fresh: int) -> Iterator[str]:
    how = (
        f"trained again with {counted(fresh, 'fresh seed')}"
        if fresh
        else "as the search trained it"
    )
    images = sum(answers.images) // max(fresh, 1)
    yield (
        f"Of trial {number}, {how}, on {images:,} validation images"
        f"{', counted once for each seed' if fresh > 1 else ''}. Recall is the share of a class's "
        "images that is answered right, precision the share of its answers that is right."
    )
    if len(answers.images) > _MOST_CLASSES:
        yield f"The {_MOST_CLASSES} classes that are recognised least:"
    largest = facts.study.dataset.get("largest")
    if largest is not None:
        yield (
            f"Always saying {largest['name']!r}, the largest class, would be right for "
            f"{largest['share']:.2%}; the network is right for {answers.share:.2%}."
        )


def _rows(answers: Answers, names: Sequence[str]) -> list[list[Content]]:
    write, shown = ACCURACY.write, list(range(len(names)))
    if len(names) > _MOST_CLASSES:
        least = (at for at in shown if answers.images[at])
        shown = sorted(least, key=lambda at: answers.recall[at] or 0.0)[:_MOST_CLASSES]
    return [
        [
            names[at],
            f"{answers.images[at]:,}",
            write(answers.recall[at], 1),
            write(answers.precision[at], 1),
            write(answers.f1[at], 1),
        ]
        for at in shown
    ]


def _matrix(answers: Answers, names: Sequence[str]) -> Markup:
    times = {(label, said): count for label, said, count in answers.mistakes}
    times |= {(at, at): right for at, right in enumerate(answers.right)}

    def cell(label: int, said: int) -> Markup:
        count, images = times.get((label, said), 0), answers.images[label]
        shade = _DARKEST_PERCENT * count / images if images else 0.0
        style = f"background:color-mix(in srgb,var(--front) {shade:.0f}%,transparent)"
        return element("td", f"{count:,}" if count else "·", class_="number", style=style)

    heads = [element("th", element("span", name), scope="col") for name in names]
    rows = [
        element(
            "tr",
            element("th", name, scope="row"),
            [cell(label, said) for said in range(len(names))],
        )
        for label, name in enumerate(names)
    ]
    head = element("thead", element("tr", element("th", "class"), heads))
    drawn = element("table", head, element("tbody", rows), class_="confusion")
    return element("div", drawn, class_="scroll", tabindex="0")


def _most_frequent(answers: Answers, names: Sequence[str]) -> Markup:
    rows = [
        [names[label], names[said], f"{count:,}", f"{count / answers.images[label]:.1%}"]
        for label, said, count in answers.mistakes[:_MOST_CLASSES]
        if answers.images[label]
    ]
    return table(("class", "answered", "times", "of its images"), rows)
