"""Settings that every part of the tests shares."""

from hypothesis import settings

# A machine that is busy with something else must not fail a property.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
