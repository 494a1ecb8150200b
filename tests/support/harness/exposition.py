"""Prometheus text as numbers that a test can compare."""

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


@dataclass(frozen=True, slots=True)
class Samples:
    """One scrape."""

    samples: tuple[Sample, ...]

    @classmethod
    def parse(cls, text: str) -> "Samples":
        families = text_string_to_metric_families(text)
        return cls(tuple(sample for family in families for sample in family.samples))

    def value(self, name: str, **labels: str) -> float:
        """The sum over the series that carry these labels; 0 if there is none yet."""
        wanted = labels.items()
        return sum(s.value for s in self.samples if s.name == name and wanted <= s.labels.items())

    def by(self, name: str, label: str) -> dict[str, float]:
        """Value by value of one label; zeros left out, so that a series made early equals one made late."""
        keys = {s.labels[label] for s in self.samples if s.name == name and label in s.labels}
        values = {key: self.value(name, **{label: key}) for key in sorted(keys)}
        return {key: value for key, value in values.items() if value}


def risen(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """By how much each counter went up; those that stood still are left out."""
    change = {key: after.get(key, 0.0) - before.get(key, 0.0) for key in before.keys() | after.keys()}
    return {key: value for key, value in change.items() if value}
