"""Whether chance alone could have made a condition fit: of many that are tried, some always do."""

from collections import Counter
from collections.abc import Mapping
from math import exp, lgamma

CHANCE_LIMIT = 0.05
"""Conditions that would fit by chance, as a share of those that do, above which none of them is believed."""


class Chance:
    """How many of the conditions tried would meet so many failures and no good call if failing had no cause.

    Then any of the calls could have been those that failed. Of a condition that the cause meets and ``k`` others do,
    those others are all among the ``failures`` other failing calls with a chance of C(failures, k) / C(all, k). The
    sum of it over all conditions tried, beside the number that did fit, is the false discovery rate (Y. Benjamini and
    Y. Hochberg 1995, J. R. Statist. Soc. B 57:289; expected by permutation as in J. D. Storey and R. Tibshirani 2003,
    PNAS 100:9440).
    """

    def __init__(self, failures: int, good: int) -> None:
        self._failures, self._all = failures, failures + good
        self._met = Counter[int]()
        self._fitting = Counter[int]()

    def see(self, failed: int, good: int) -> None:
        """A condition that was tried: how many other failures, and how many good calls, meet it."""
        self._met[failed + good] += 1
        if not good:
            self._fitting[failed] += 1

    def add(self, met: Mapping[int, int]) -> None:
        """Conditions that no other failure meets, by the number of good calls that do."""
        self._met.update(met)

    def is_unlikely(self, failed: int) -> bool:
        """Whether those that meet so many other failures, or more, and no good call are hardly there by chance."""
        expected = sum(
            count * self._of_all_failing(met) for met, count in self._met.items() if met >= failed
        )
        fitting = sum(count for met, count in self._fitting.items() if met >= failed)
        return expected <= CHANCE_LIMIT * fitting

    def _of_all_failing(self, met: int) -> float:
        """C(failures, met) / C(all, met), by logarithms: the numbers themselves have thousands of digits."""
        if met > self._failures:
            return 0.0
        among = lgamma(self._failures + 1) - lgamma(self._failures - met + 1)
        return exp(among - lgamma(self._all + 1) + lgamma(self._all - met + 1))
