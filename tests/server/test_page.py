"""The chat page in a real browser. MIXTRAL_SCREENSHOT in the environment names a file to keep what it shows."""

import os
import unittest

import browser
from support import ServerTest


@unittest.skipUnless(browser.find_chromium(), "there is no Chromium here")
class Page(ServerTest):
    def setUp(self):
        self.page = browser.Browser(self.server.url)
        self.addCleanup(self.page.close)

    def set(self, field, value):
        self.page.run(f"document.getElementById('{field}').value = {value!r}")

    def say(self, text):
        self.page.run("document.getElementById('text').focus()")
        self.page.type(text)
        self.page.press("Enter", 13)

    def wait_for_answers(self, n):
        self.page.wait_for(f"document.querySelectorAll('.message.assistant:not(.busy)').length === {n} && "
                           "document.getElementById('stop').hidden")

    def text_of(self, selector):
        return self.page.run(f"[...document.querySelectorAll('{selector}')].at(-1)?.textContent")

    def test_chat(self):
        self.page.wait_for("document.getElementById('model').textContent !== ''")
        self.assertEqual(self.text_of("#model"), "pocket-mixtral")
        self.set("temperature", "0")
        self.say("What is 38 plus 45?")
        self.wait_for_answers(1)
        self.assertEqual(self.text_of(".assistant p"), "38 + 45 = 83.")
        self.assertRegex(self.text_of(".assistant small"), r"^\d+ tokens · prompt of \d+ · first after .* tokens/s")
        self.say("What is your favourite condiment?")
        self.wait_for_answers(2)
        if path := os.environ.get("MIXTRAL_SCREENSHOT"):
            self.page.run("document.getElementById('toggle').click()")
            self.page.screenshot(path)
        self.assertEqual(self.page.complaints(), [])

    def test_stop(self):
        self.set("mode", "text")
        self.set("max_tokens", "900")
        self.set("temperature", "0")
        # In the page itself: a text may be over before a click comes from out here.
        self.page.run("""
            new MutationObserver((_, observer) => {
              if ((document.querySelector('.assistant p')?.textContent.length ?? 0) <= 5) return;
              observer.disconnect();
              document.getElementById('stop').click();
            }).observe(document.body, {childList: true, subtree: true, characterData: true})""")
        self.say("Once upon a time")
        self.wait_for_answers(1)
        self.assertIn("stopped", self.text_of(".assistant small"))
        self.wait_until(self.server.is_idle)

    def test_errors_are_shown_and_markup_is_text(self):
        self.set("temperature", "-1")
        self.say("<img src=x onerror=alert(1)>")
        self.page.wait_for("document.querySelector('.message.error') !== null")
        self.assertIn("temperature", self.text_of(".error p"))
        self.assertEqual(self.text_of(".user p"), "<img src=x onerror=alert(1)>")
        self.assertFalse(self.page.run("document.querySelector('.message img') !== null"))

    def test_everything_has_a_name(self):
        nodes = self.page.call("Accessibility.getFullAXTree")["nodes"]
        roles = {"button", "textbox", "combobox", "spinbutton"}
        named = [node for node in nodes if node.get("role", {}).get("value") in roles]
        self.assertGreaterEqual(len(named), 4)
        for node in named:
            self.assertTrue(node["name"]["value"], node)


if __name__ == "__main__":
    unittest.main()
