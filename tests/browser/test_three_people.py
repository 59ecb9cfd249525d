"""Three people at once, each with a text and a question of their own."""

import time

from support.browser_steps import choose_example, silence, spoken

PEOPLE = {
    "question.wav": ("What is he often called?", "England's national poet"),
    "everest.flac": ("What is the highest mountain on Earth?", "Mount Everest"),
    "bees.flac": ("How old is the painting in the cave?", "about eight thousand years old"),
}
RESPONSIVE_SECONDS = 0.5


def test_everyone_gets_their_own_answer_and_no_page_freezes(open_page):
    pages = {name: open_page(silence(6), spoken(name), silence(1)) for name in PEOPLE}
    for name, page in pages.items():
        choose_example(page, PEOPLE[name][0])
        page.get_by_role("switch", name="Hands-free").check()
    slowest = 0.0
    waiting = dict(pages)
    while waiting:
        for name, page in list(waiting.items()):
            began = time.monotonic()
            if page.evaluate("document.getElementById('history').children.length"):
                del waiting[name]
            slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.05)
    for name, page in pages.items():
        assert page.locator("#answer").text_content() == PEOPLE[name][1]
        assert page.locator("#history > li").count() == 1
    assert slowest < RESPONSIVE_SECONDS
