"""P13, P36: positional and keyword calls of a function are the same action."""

from __future__ import annotations

import pytest

from jackline.binding import Binding


def refund(order, amount=5, *, note="x"):
    """A tool."""


def everything(first, /, second, *rest, third=3, **more):
    """All kinds of parameters."""


class Desk:
    def close(self, reason="done"):
        """A method."""


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("A", 7), {}),
        (("A",), {"amount": 7}),
        ((), {"order": "A", "amount": 7}),
        ((), {"amount": 7, "order": "A", "note": "x"}),
    ],
)
def test_p13_positional_and_keyword_arguments_are_the_same_action(args, kwargs):
    assert Binding(refund).bind(args, kwargs) == {"order": "A", "amount": 7, "note": "x"}


def test_p36_every_positional_argument_is_judged():
    bound = Binding(everything).bind((1, 2, 3, 4), {"extra": 5})
    assert bound == {"first": 1, "second": 2, "rest": (3, 4), "third": 3, "more": {"extra": 5}}
    assert Binding(everything).judged(bound)["rest"] == [3, 4]


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "missing a required argument: 'order'"),
        (("A", 1, 2), {}, "too many positional arguments"),
        (("A",), {"order": "B"}, "multiple values for argument 'order'"),
        (("A",), {"colour": 1}, "got an unexpected keyword argument 'colour'"),
    ],
)
def test_a_call_that_does_not_fit_fails_as_python_fails(args, kwargs, message):
    with pytest.raises(TypeError, match=message):
        Binding(refund).bind(args, kwargs)


def test_the_receiver_of_a_method_is_not_an_argument():
    binding = Binding(Desk.close)
    bound = binding.bind((Desk(),), {})
    assert binding.judged(bound) == {"reason": "done"}


def test_changed_arguments_keep_what_the_policy_left_alone():
    binding = Binding(everything)
    native = object()
    bound = binding.bind((native, 2, 3), {"third": "secret"})
    judged = binding.judged(bound)
    args, kwargs = binding.changed(bound, judged, {**judged, "third": "***"})
    assert args == (native, 2, 3)
    assert kwargs == {"third": "***"}


def test_a_policy_cannot_add_an_argument():
    binding = Binding(refund)
    bound = binding.bind(("A",), {})
    with pytest.raises(TypeError, match="a policy added the argument 'to', which the tool does not take"):
        binding.changed(bound, bound, {**bound, "to": "x"})
