"""The register of tables."""

from dataclasses import replace

import pytest

from mltemporal.database.engine import Database
from mltemporal.errors import NotFound
from mltemporal.specs.data import DatasetFacts, DatasetRef, Expectation

FACTS = DatasetFacts(
    made_by=7,
    part="train",
    sources=("ab" * 32,),
    steps=("drop_missing()",),
    expectations=(Expectation(column="age", minimum=0),),
)


def test_a_content_is_registered_once(database: Database, dataset: DatasetRef) -> None:
    first = database.datasets.add(dataset)
    assert first == database.datasets.add(dataset)
    second = database.datasets.add(replace(dataset, fingerprint="ef" * 32))
    assert first != second
    assert ["ef" * 32, dataset.fingerprint] == [row.ref.fingerprint for row in database.datasets.all()]


def test_a_table_is_found_by_its_name_its_fingerprint_and_its_id(
    database: Database, dataset: DatasetRef
) -> None:
    named = replace(dataset, name="penguins")
    number = database.datasets.add(named)
    row = database.datasets.named("penguins")
    assert row is not None
    assert (number, named) == (row.id, row.ref)
    assert row == database.datasets.get(number) == database.datasets.of(named.fingerprint)
    assert database.datasets.named("whales") is None
    assert database.datasets.of("ef" * 32) is None


def test_of_several_tables_of_a_name_the_newest_is_meant(database: Database, dataset: DatasetRef) -> None:
    database.datasets.add(replace(dataset, name="penguins"))
    newer = database.datasets.add(replace(dataset, name="penguins", fingerprint="ef" * 32))
    found = database.datasets.named("penguins")
    assert found is not None
    assert newer == found.id


def test_what_is_kept_with_a_table_comes_back_and_the_first_record_stands(
    database: Database, dataset: DatasetRef
) -> None:
    number = database.datasets.add(dataset, FACTS)
    assert number == database.datasets.add(dataset)
    assert FACTS == database.datasets.get(number).facts


def test_what_was_found_out_about_a_table_is_the_newest_and_where_it_came_from_the_first(
    database: Database, dataset: DatasetRef
) -> None:
    number = database.datasets.add(dataset, FACTS)
    newer = DatasetFacts(made_by=9, expectations=(Expectation(column="age", minimum=1),))
    assert number == database.datasets.describe(replace(dataset, name="sheep"), newer)
    row = database.datasets.get(number)
    assert (FACTS.made_by, FACTS.steps, newer.expectations, "sheep") == (
        *(row.facts.made_by, row.facts.steps, row.facts.expectations),
        row.ref.name,
    )


def test_a_table_that_is_not_there_is_named(database: Database) -> None:
    with pytest.raises(NotFound, match="there is no dataset 12"):
        database.datasets.get(12)
