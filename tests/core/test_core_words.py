"""Words of a text, as search knows them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sloguard.core.words import LONGEST, MOST, words


def test_words_are_runs_of_letters_and_digits_of_any_script() -> None:
    assert words("Checkout-7f_x  keeps ITS promise") == (
        "checkout",
        "7f",
        "x",
        "keeps",
        "its",
        "promise",
    )
    assert words("Straße", "ПЛАТЕЖ №5", "支払い") == ("strasse", "платеж", "5", "支払い")
    assert words("", "--", "%_") == ()


def test_a_word_is_told_once_and_no_text_has_too_many() -> None:
    assert words("a A", "a") == ("a",)
    assert words("x" * 500) == ("x" * LONGEST,)
    assert len(words(*map(str, range(1000)))) == MOST


@given(st.text())
def test_words_of_words_are_themselves(text: str) -> None:
    found = words(text)
    assert words(" ".join(found)) == found
