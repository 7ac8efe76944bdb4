"""What is compared is measured side by side: by the quickest run of each, or by the pair in the middle."""

from bench.process import Cost, best, middle


class Runs:
    """Runs of two things that take these seconds, and the order in which they were asked for."""

    def __init__(self, ours, theirs):
        self.seconds = {"ours": iter(ours), "theirs": iter(theirs)}
        self.order = []

    def ours(self):
        return self._cost("ours")

    def theirs(self):
        return self._cost("theirs")

    def _cost(self, name):
        self.order.append(name)
        return Cost(name, next(self.seconds[name]), cpu=0.0, peak=0)


def told(found):
    return [(cost.result, cost.seconds) for cost in found]


def test_what_is_compared_takes_turns_and_of_each_the_quickest_run_counts():
    runs = Runs([3.0, 1.0, 2.0], [5.0, 6.0, 4.0])
    assert told(best(3, runs.ours, runs.theirs)) == [("ours", 1.0), ("theirs", 4.0)]
    assert runs.order == ["ours", "theirs"] * 3


def test_of_pairs_the_one_with_the_middle_ratio_counts_and_not_the_quickest_run_of_each():
    runs = Runs([3.0, 1.5, 8.0], [1.0, 1.0, 4.0])
    assert told(middle(3, runs.ours, runs.theirs)) == [("ours", 8.0), ("theirs", 4.0)]
    assert runs.order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
