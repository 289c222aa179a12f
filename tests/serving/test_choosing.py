"""Drawing where the noise is 0, as it is once in millions of draws."""

import numpy as np

from recbole_lpi.serving.choosing import Choice


class NoNoise(np.random.Generator):
    """Draws nothing but 0."""

    def standard_exponential(self, size, dtype=np.float32):  # type: ignore[override]
        return np.zeros(size, dtype)


def test_an_item_that_may_not_be_chosen_is_not_whatever_the_noise():
    log_pi = np.log(np.array([[0.4, 0.3, 0.2, 0.1]], np.float32))
    allowed = np.array([False, True, False, True])
    choice = Choice(2, allowed=allowed, draws=NoNoise(np.random.PCG64(1)))
    found = choice.of(log_pi, np.zeros((1, 0), np.int64))
    assert set(found.place[0]) == {1, 3} and np.isfinite(found.scores).all()
