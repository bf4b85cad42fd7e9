"""A page that counts what it sounds."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

COUNT_NOTES = """
window.notes = [];
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (at) {
    window.notes.push(this.frequency.value);
    return start.call(this, at);
};
"""


@pytest.fixture
def screen(page: "Page") -> "Page":
    """The home's own screen."""
    page.set_viewport_size({"width": 1920, "height": 1080})
    page.add_init_script(COUNT_NOTES)
    return page
