"""The last clips play while the studio cannot be reached."""

from __future__ import annotations

from collections.abc import Callable

from browser.server import StudioProcess
from browser.visitor import Visitor

KEPT = "async () => (await (await caches.open('clips')).keys()).length"
PLAYS = "player => new Promise(done => { player.onloadedmetadata = () => done(player.duration); \
player.load(); })"


def test_the_last_clip_plays_without_the_studio(
    own_studio: Callable[..., StudioProcess], visitor: Callable[..., Visitor]
) -> None:
    studio, one = own_studio(), visitor()
    page = one.open(studio.url)
    one.set("generate-text", "A clip for the train.")
    one.control("generate-run").click()
    page.locator("article.job.newest.is-done [data-clip] audio").wait_for(state="attached")
    page.wait_for_function(f"async () => await ({KEPT})() === 1")
    studio.end()
    one.forgive_ended_server()
    page.goto(studio.url)
    page.get_by_text("The studio cannot be reached.").wait_for()
    assert page.locator("#clips li").inner_text().startswith("A clip for the train.")
    assert page.locator("#clips audio").evaluate(PLAYS) > 0.5
