"""The register of tables."""

from dataclasses import replace

from mltemporal.database import Database
from mltemporal.specs import DatasetRef


def test_a_content_is_registered_once(database: Database, dataset: DatasetRef) -> None:
    first = database.datasets.add(dataset)
    assert first == database.datasets.add(dataset)
    second = database.datasets.add(replace(dataset, fingerprint="ef" * 32))
    assert first != second
    assert ["ef" * 32, dataset.fingerprint] == [ref.fingerprint for _, ref in database.datasets.all()]


def test_a_table_is_found_by_its_name(database: Database, dataset: DatasetRef) -> None:
    named = replace(dataset, name="penguins")
    database.datasets.add(named)
    assert named == database.datasets.named("penguins")
    assert database.datasets.named("whales") is None
