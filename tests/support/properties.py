"""What the property tests share: any JSON there is, and patience with slow machines."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""The first text that hypothesis draws takes seconds, because it builds its table of characters then."""
