"""One small company, ingested and planned once a test process."""

from __future__ import annotations

from pathlib import Path

import pytest

from capacity import config, pipeline
from capacity.pipeline.planning import Run
from tests import company


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    """The small company's config, its store filled."""
    settings = config.load(company.write(tmp_path_factory.mktemp("small")))
    pipeline.require_complete(pipeline.ingest(settings, pipeline.open_store(settings), company.AS_OF.to_pydatetime()))
    return settings


@pytest.fixture(scope="session")
def planned(small: config.Config) -> Run:
    """The small company's base plan and its two scenarios."""
    return pipeline.run(
        small,
        pipeline.open_store(small),
        scenarios=pipeline.all_scenarios(small),
        as_of=company.AS_OF.to_pydatetime(),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
