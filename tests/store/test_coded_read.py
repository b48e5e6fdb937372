"""A bill read with its text as codes is the same bill."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from capacity import config, pipeline
from tests import company


def test_coded_text_is_the_same_text_with_one_dictionary_a_column(tmp_path: Path) -> None:
    settings = config.load(company.write(tmp_path))
    store = pipeline.open_store(settings)
    pipeline.require_complete(pipeline.ingest(settings, store, company.AS_OF.to_pydatetime()))
    plain, coded = store.read("cost"), store.read("cost", coded=True)
    assert coded.cast(plain.schema).equals(plain)
    # Columns of nothing but nulls, as most bills have some, must not keep chunks from sharing a dictionary.
    assert any(plain.column(n).null_count == plain.num_rows for n in plain.column_names)
    for field in coded.schema:
        if pa.types.is_dictionary(field.type):
            coded.column(field.name).unify_dictionaries()
    assert sum(pa.types.is_dictionary(f.type) for f in coded.schema) > 20
