# SPDX-License-Identifier: Apache-2.0
"""A bundle runs by its digest or by its audit, and as it was when it was looked at."""

import json
from pathlib import Path

import pytest
import torch
from tiny_bundle import tiny_bundle
from trusted import trusted

from medvol.audit.verdict import Level
from medvol.bundle import permission
from medvol.bundle.build import change_bundle
from medvol.bundle.config import Config
from medvol.bundle.find import shipped_bundles
from medvol.bundle.known import ACCEPTED, AUDITED, OWN, known
from medvol.bundle.new import new_bundle
from medvol.bundle.permission import (
    Look,
    changing,
    look_at,
    permit,
    permit_or_accept,
    record_own,
)
from medvol.errors import InputError
from medvol.manifest import manifest_of
from medvol.tasks.task import load_bundle

C_ENTRY = "$__import__('os').system('true')"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is known of any bundle."""
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def with_code(folder: Path, text: str = "VALUE = 1\n") -> Path:
    """A bundle of level B: with a module of its own, which an entry names."""
    made = tiny_bundle(folder, {"more": {"_target_": "scripts.own.Own"}})
    (made / "scripts").mkdir()
    (made / "scripts" / "own.py").write_text(f"{text}\nclass Own:\n    number = 7\n")
    return made


def config(bundle: Path) -> Config:
    return Config(bundle / "configs" / "inference.json", bundle_root=str(bundle))


def refusal(bundle: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        config(bundle)
    return caught.value


def forget() -> None:
    """As in another process."""
    permission._PERMITS.clear()


def test_a_shipped_bundle_is_not_even_looked_at(home: Path) -> None:
    folder = shipped_bundles()["covid_ct_lesion_3d"]
    assert permit(folder) == (folder.resolve(), "", Level.A, "shipped")
    assert not home.exists()


def test_one_of_known_parts_needs_no_word_and_is_audited_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tiny_bundle(tmp_path / "tiny")
    digest = manifest_of(bundle).digest
    assert permit(bundle)[1:] == (digest, Level.A, AUDITED)
    forget()
    monkeypatch.setattr("medvol.audit.audit.audit", None)  # would be called
    assert permit(bundle).how == AUDITED
    forget()
    monkeypatch.setattr(permission, "rules", lambda: "others")
    with pytest.raises(TypeError):
        permit(bundle)


def test_one_with_code_runs_once_it_is_accepted_and_only_as_it_is(tmp_path: Path) -> None:
    bundle = with_code(tmp_path / "coded")
    refused = refusal(bundle)
    assert refused.code == "E_UNTRUSTED"
    assert "nobody here has accepted it (level B, " in refused.reason
    assert manifest_of(bundle).short in refused.reason
    assert "--trust-this-bundle" in refused.remedy
    assert permit_or_accept(bundle, trust=True).how == ACCEPTED
    forget()
    assert config(bundle).build("more").number == 7
    (bundle / "scripts" / "own.py").write_text("class Own:\n    number = 8\n")
    assert refusal(bundle).code == "E_UNTRUSTED"
    trusted(bundle)
    assert permit(bundle).level is Level.B


def test_what_medvol_never_runs_is_never_accepted(tmp_path: Path, home: Path) -> None:
    bundle = tiny_bundle(tmp_path / "evil", {"more": C_ENTRY})
    assert "medvol never runs a bundle of level C" in refusal(bundle).reason
    with pytest.raises(InputError, match="never runs"):
        permit_or_accept(bundle, trust=True)
    record_own(bundle)
    with pytest.raises(InputError, match="never runs"):
        permit(bundle)
    rows = json.loads((home / "accepted.json").read_text())
    assert [row["how"] for row in rows.values()] == [OWN]


def test_acceptance_of_before_does_not_hold_for_a_worse_audit_of_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules of an audit change with medvol: what it finds now counts."""
    bundle = tiny_bundle(tmp_path / "evil", {"more": C_ENTRY})
    manifest = manifest_of(bundle)
    permission.write_known(manifest, how=ACCEPTED, level=Level.B, audited=True)
    assert permit(bundle).how == ACCEPTED  # as medvol of then found B
    forget()
    monkeypatch.setattr(permission, "rules", lambda: "of a later medvol")
    with pytest.raises(InputError, match="never runs"):
        permit(bundle)


@pytest.mark.parametrize("name", ["accepted.json", "home"])
def test_a_damaged_or_unwritable_list_only_means_another_audit(
    name: str, tmp_path: Path, home: Path
) -> None:
    bundle = tiny_bundle(tmp_path / "tiny")
    if name == "home":
        home.write_text("a file")
    else:
        home.mkdir()
        (home / name).write_text('{"a": ')
    assert permit(bundle).level is Level.A
    if name == "home":
        with pytest.raises(InputError, match="E_"):
            permit_or_accept(with_code(tmp_path / "coded"), trust=True)


def test_a_file_that_is_swapped_after_the_look_is_not_used(tmp_path: Path) -> None:
    """Weights, configs and scripts: the bytes that were hashed are those that are used."""
    bundle = trusted(with_code(tmp_path / "coded"))
    opened = config(bundle)
    ran = tmp_path / "ran"
    (bundle / "scripts" / "own.py").write_text(f"open({str(ran)!r}, 'w')\nclass Own: pass\n")
    with pytest.raises(InputError, match=r"E_CHANGED .*own\.py"):
        opened.build("more")
    assert not ran.exists()


def test_weights_that_are_swapped_after_the_look_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tiny_bundle(tmp_path / "tiny")
    built = Config.build

    def build(self: Config, name: str) -> object:
        if name == "network":  # behind the look, before the weights
            torch.save({"weight": torch.ones(1)}, bundle / "models" / "model.pt")
        return built(self, name)

    monkeypatch.setattr(Config, "build", build)
    with pytest.raises(InputError, match=r"E_CHANGED .*model\.pt"):
        load_bundle(bundle, device="cpu")


def test_a_folder_that_changes_during_the_look_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medvol.audit.audit import audit

    bundle = tiny_bundle(tmp_path / "tiny")

    def slow(folder: Path) -> object:
        found = audit(folder)
        (folder / "LICENSE").touch()
        return found

    monkeypatch.setattr("medvol.audit.audit.audit", slow)
    with pytest.raises(InputError, match="E_CHANGED"):
        permit(bundle)


def test_a_bundle_made_here_of_one_with_code_needs_no_word(tmp_path: Path) -> None:
    """And keeps it when medvol itself changes it; a change by hand takes it away."""
    bundle = with_code(tmp_path / "own")
    record_own(bundle, level=Level.B)
    assert permit(bundle)[2:] == (Level.B, OWN)
    change_bundle(bundle, {"metadata#intended_use": "tests"})
    assert permit(bundle)[2:] == (Level.B, OWN)
    with changing(bundle):
        (bundle / "scripts" / "own.py").write_text("class Own:\n    number = 9\n")
    assert config(bundle).build("more").number == 9
    (bundle / "scripts" / "own.py").write_text("class Own:\n    number = 8\n")
    assert refusal(bundle).code == "E_UNTRUSTED"


def test_one_made_of_a_shipped_bundle_is_ones_own(tmp_path: Path) -> None:
    made = new_bundle(tmp_path / "lungs", like="covid_ct_lesion_3d")
    row = known(manifest_of(made).digest)
    assert row is not None
    assert row[:3] == ("lungs", OWN, Level.A)
    assert permit(made)[2:] == (Level.A, OWN)


def test_none_is_made_of_one_that_may_not_run(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "evil", {"more": C_ENTRY})
    with pytest.raises(InputError, match="E_UNTRUSTED"):
        new_bundle(tmp_path / "made", like=bundle)
    assert not (tmp_path / "made").exists()


def test_a_config_laid_over_another_is_of_a_bundle_too(tmp_path: Path) -> None:
    good, evil = tiny_bundle(tmp_path / "good"), tiny_bundle(tmp_path / "evil", {"more": C_ENTRY})
    paths = [folder / "configs" / "inference.json" for folder in (good, evil)]
    with pytest.raises(InputError, match=r"E_UNTRUSTED .*evil"):
        Config(paths)


def test_a_link_in_a_bundle_is_refused(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "tiny")
    (bundle / "link").symlink_to("/etc/passwd")
    assert refusal(bundle).code == "E_BUNDLE"
    assert "a link lies in the bundle" in refusal(bundle).reason


def test_load_bundle_trusts_on_request(tmp_path: Path) -> None:
    bundle = with_code(tmp_path / "coded")
    with pytest.raises(InputError, match="E_UNTRUSTED"):
        load_bundle(bundle, device="cpu")
    assert load_bundle(bundle, device="cpu", trust=True).spec.folder == bundle
    assert load_bundle(bundle, device="cpu").spec.folder == bundle
    assert not isinstance(look_at(bundle), Look)
