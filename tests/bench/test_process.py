"""What is compared is measured side by side: by the quickest run of each, or by the pair in the middle."""

from bench.process import Cost, best, middle


def test_what_is_compared_takes_turns_and_of_each_the_quickest_run_counts():
    seconds, order = {"ours": iter([3.0, 1.0, 2.0]), "theirs": iter([5.0, 6.0, 4.0])}, []

    def run(name):
        order.append(name)
        return Cost(name, next(seconds[name]), cpu=0.0, peak=0)

    found = best(3, lambda: run("ours"), lambda: run("theirs"))
    assert [(cost.result, cost.seconds) for cost in found] == [("ours", 1.0), ("theirs", 4.0)]
    assert order == ["ours", "theirs"] * 3


def test_of_pairs_the_one_with_the_middle_ratio_counts_and_not_the_quickest_run_of_each():
    seconds, order = {"ours": iter([3.0, 1.5, 8.0]), "theirs": iter([1.0, 1.0, 4.0])}, []

    def run(name):
        order.append(name)
        return Cost(name, next(seconds[name]), cpu=0.0, peak=0)

    found = middle(3, lambda: run("ours"), lambda: run("theirs"))
    assert [(cost.result, cost.seconds) for cost in found] == [("ours", 8.0), ("theirs", 4.0)]
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
