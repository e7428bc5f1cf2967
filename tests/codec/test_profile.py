"""The exact encoders by their names."""

from __future__ import annotations

from collections import Counter

from convert.codec import profile


def test_each_name_and_alias_leads_to_one_profile():
    names = [name for one in profile.all_profiles() for name in (one.name, *one.aliases)]
    assert {name: count for name, count in Counter(names).items() if count > 1} == {}
    for one in profile.all_profiles():
        assert {profile.get(name) for name in (one.name, *one.aliases)} == {one}


def test_the_profiles_are_made_once_however_often_one_is_looked_up(monkeypatch):
    """`digest` looks up one for each layer and tool: 10,000 layers took eight seconds longer."""
    found = profile.get("docker")
    monkeypatch.setattr(profile, "all_profiles", None)
    assert profile.get("docker") is found
