"""A server with tiny bundles: a segmenter that thresholds, and one of radiographs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tiny_bundle import quarter_bundle, tiny_bundle
from trusted import trusted
from warm_python import warm_children

from medvol.server.app import create_app
from medvol.server.service import Service
from medvol.server.settings import Settings


@pytest.fixture(scope="module", autouse=True)
def warm_workers(forked_python: str) -> Iterator[None]:
    """Workers have torch and MONAI loaded when they start."""
    with warm_children(forked_python):
        yield


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Of a server with two tiny bundles, `tiny_ct` and `tiny_xray`, in folders of its own."""
    folder = tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDVOL_HOME", str(folder / "home"))
        bundles = [tiny_bundle(folder / "tiny_ct"), quarter_bundle(folder / "tiny_xray")]
        for bundle in bundles:
            trusted(bundle)
    return Settings(folder / "state", [str(bundle) for bundle in bundles])


@pytest.fixture(scope="module")
def service(settings: Settings) -> Iterator[Service]:
    """What all faces stand on; one worker for the tests of a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDVOL_HOME", str(settings.folder.parent / "home"))
        service = Service(replace(settings, folder=settings.folder / "shared"))
        yield service
        service.close()


@pytest.fixture(scope="module")
def app(service: Service) -> FastAPI:
    """The app with all its faces."""
    return create_app(service)


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    """A client of the app; it does not end the service."""
    return TestClient(app, base_url="http://127.0.0.1:8000")


@pytest.fixture(scope="session")
def chest_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CT phantom as NIfTI, which `tiny_ct` segments."""
    from phantoms import save_nifti, tiny_chest

    chest = tiny_chest(noise_hu=5)
    return save_nifti(tmp_path_factory.mktemp("chest") / "chest.nii.gz", chest.ct, chest.affine)
