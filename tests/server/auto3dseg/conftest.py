"""A server with a tiny bundle of CT that resamples nothing of 5 mm, and one of MR sequences."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from even_grids import even_bundle
from tiny_bundle import quarter_bundle, tiny_brain_bundle
from trusted import trusted

from medvol.server.service import Service
from medvol.server.settings import Settings


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Three bundles: `tiny_ct`, `tiny_brain`, and one of radiographs."""
    folder = tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDVOL_HOME", str(folder / "home"))
        bundles = [
            even_bundle(folder / "tiny_ct"), tiny_brain_bundle(folder / "tiny_brain"),
            quarter_bundle(folder / "tiny_xray"),
        ]  # fmt: skip
        for bundle in bundles:
            trusted(bundle)
        settings = Settings(folder / "state", [str(bundle) for bundle in bundles])
        service = Service(replace(settings, device="cpu"))
        yield service
        service.close()
