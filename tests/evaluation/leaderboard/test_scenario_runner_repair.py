"""Junctions that belong together are joined, as scenario_runner means to."""

from types import SimpleNamespace

from evaluation.leaderboard_agent.scenario_runner_repair import join_complex_junctions


def junction(number: int) -> SimpleNamespace:
    return SimpleNamespace(id=number)


def passed(number: int, exit_index: int) -> SimpleNamespace:
    return SimpleNamespace(junctions=[junction(number)], route_exit_index=exit_index)


BEHAVIOR = SimpleNamespace(
    _get_complex_junctions=lambda: [[junction(1), junction(2)], [junction(7), junction(8)]]
)


def ids(data: SimpleNamespace) -> list[int]:
    return [junction.id for junction in data.junctions]


def test_a_junction_of_a_group_brings_the_others_along():
    (data,) = join_complex_junctions(BEHAVIOR, [passed(8, 40)])
    assert ids(data) == [8, 7]


def test_neighbours_of_one_group_become_one_that_ends_where_the_last_one_does():
    (data,) = join_complex_junctions(BEHAVIOR, [passed(1, 40), passed(2, 90)])
    assert (ids(data), data.route_exit_index) == ([1, 2], 90)


def test_a_group_entered_again_after_another_junction_is_a_new_one():
    joined = join_complex_junctions(BEHAVIOR, [passed(1, 40), passed(5, 60), passed(2, 90)])
    assert [ids(data) for data in joined] == [[1, 2], [5], [2, 1]]


def test_single_junctions_stay_as_they_are():
    joined = join_complex_junctions(BEHAVIOR, [passed(4, 40), passed(4, 60)])
    assert [ids(data) for data in joined] == [[4], [4]]
