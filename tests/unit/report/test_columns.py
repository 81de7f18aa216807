"""The page of columns: fresh, whole, and of the tables as they are."""

from certbd.report import columns
from conftest import ROOT


def test_the_page_is_fresh():
    """`make keys` writes it."""
    assert columns.PAGE.read_text() == columns.page()


def test_every_column_of_every_table_is_told_and_nothing_else():
    told = {
        (table if name in columns.texts().get(table, {}) else "", name)
        for table, (_, names) in columns.TABLES.items()
        for name in names
    }
    assert told == {(table, name) for table, of in columns.texts().items() for name in of}
    assert all(columns.column(*pair).meaning for pair in told)


def test_tables_that_scripts_write_are_on_the_page():
    reach = (ROOT / "workflow" / "scripts" / "tabulate_reach.py").read_text()
    assert " ".join(columns.REACH) in reach
    written = {"summary", "curves", "models", "audit", "noise_audit", "reach"}
    assert {f"{name}.csv" for name in written} <= set(columns.TABLES)
