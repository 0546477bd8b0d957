"""chat, at a terminal and through a pipe."""

import json
import os
import pty
import select
import signal
import stat
import termios
import time
import unittest

from support import (BAD_MODEL, GOLDENS, IO, MODEL, OK, USAGE, CommandTest, command_line,
                     environment)

GREEDY = ["--temperature", "0", "-n", "12"]


class Pipe(CommandTest):
    def test_each_line_gets_a_reply(self):
        one = self.output("chat", MODEL, *GREEDY, stdin="Hello!\n")
        two = self.output("chat", MODEL, *GREEDY, stdin="Hello!\n\nHow are you?\n")
        self.assertTrue(two.startswith(one))
        self.assertGreater(len(two), len(one))

    def test_reset_forgets(self):
        fresh = self.output("chat", MODEL, *GREEDY, stdin="How are you?\n")
        after = self.output("chat", MODEL, *GREEDY, stdin="Hello!\n/reset\nHow are you?\n")
        self.assertTrue(after.endswith(fresh))

    def test_reply_is_what_generate_says(self):
        reply = self.output("generate", MODEL, "--chat", "-p", "Hello!", *GREEDY)
        self.assertEqual(self.output("chat", MODEL, *GREEDY, stdin="Hello!\n"), reply)

    def test_last_line_without_end(self):
        self.assertEqual(self.output("chat", MODEL, *GREEDY, stdin="Hello!"),
                         self.output("chat", MODEL, *GREEDY, stdin="Hello!\n"))

    def test_save(self):
        path = self.scratch / "saved.json"
        result = self.run_command("chat", MODEL, *GREEDY, "--system", "Be brief.",
                                  stdin=f"Hello!\n/save {path}\n")
        self.assertEqual(result.returncode, OK, result.stderr)
        messages = json.loads(path.read_text())
        self.assertEqual([m["role"] for m in messages], ["system", "user", "assistant"])
        self.assertEqual(messages[1]["content"], "Hello!")
        self.assertEqual(result.stdout.decode(), messages[2]["content"] + "\n")

    def test_system_message_matters(self):
        options = self.output("chat", MODEL, *GREEDY, "--system", "Be brief.", stdin="Hello!\n")
        command = self.output("chat", MODEL, *GREEDY, stdin="/system Be brief.\nHello!\n")
        self.assertEqual(options, command)
        cleared = self.output("chat", MODEL, *GREEDY, stdin="/system Be brief.\n/system\nHello!\n")
        self.assertEqual(cleared, self.output("chat", MODEL, *GREEDY, stdin="Hello!\n"))

    def test_commands(self):
        result = self.run_command("chat", MODEL, stdin="/help\n/nonsense\n/save\n/quit\nHello!\n")
        self.assertEqual((result.returncode, result.stdout), (OK, b""))
        self.assertIn(b"/reset", result.stderr)
        self.assertIn(b"/nonsense: unknown command", result.stderr)

    def test_old_exchanges_are_forgotten_when_the_context_is_full(self):
        result = self.run_command("chat", MODEL, "--ctx", "64", "-n", "8", "--temperature", "0",
                                  stdin="Tell me something about the sea.\n" * 6)
        self.assertEqual(result.returncode, OK, result.stderr)
        self.assertIn(b"forgotten", result.stderr)

    def test_no_input(self):
        self.assertEqual(self.output("chat", MODEL, stdin=""), "")

    def test_bad_input(self):
        self.assert_fails(BAD_MODEL, "chat", GOLDENS / "window7", stdin="Hello!\n",
                          says="tokenizer")
        self.assert_fails(IO, "chat", MODEL, stdin=f"/save {self.scratch}/no/where\n", says="where")
        self.assert_fails(USAGE, "chat", MODEL, "--top-p", "7", stdin="Hello!\n", says="top_p")


class Terminal(CommandTest):
    """A person at a pseudo-terminal, which shows stdout and stderr alike."""

    def start(self, *arguments):
        self.history = self.scratch / "state" / "mixtral" / "history"
        child, self.terminal = pty.fork()
        if child == 0:
            os.execve(command_line()[0], command_line("chat", MODEL, *arguments),
                      environment(XDG_STATE_HOME=str(self.scratch / "state"), TERM="xterm",
                                  HOME=str(self.scratch)))
        self.child, self.screen = child, b""
        self.addCleanup(self.stop, self.terminal, child)
        self.prompt()

    def stop(self, terminal, child):
        os.close(terminal)
        if self.child == child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    def expect(self, text, timeout=60):
        """Waits for `text` and returns all that came up to it, which is then forgotten."""
        deadline = time.monotonic() + timeout
        while text not in self.screen:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.terminal], [], [], max(left, 0))
            if not ready:
                self.fail(f"no {text!r} within {timeout} s; the screen has {self.screen!r}")
            try:
                self.screen += os.read(self.terminal, 4096)
            except OSError:  # the other side is closed
                self.fail(f"ended before {text!r}; the screen has {self.screen!r}")
        before, self.screen = self.screen.split(text, 1)
        return before

    def prompt(self):
        """Waits for the question, and until the line editor has the terminal: before that, the
        system would take control characters for itself. Returns what came before."""
        before = self.expect(b"> ")
        deadline = time.monotonic() + 60
        while termios.tcgetattr(self.terminal)[3] & termios.ICANON:
            self.assertLess(time.monotonic(), deadline, "the terminal isn't in raw mode")
            time.sleep(0.01)
        return before

    def type(self, text):
        os.write(self.terminal, text if isinstance(text, bytes) else text.encode())

    def exit_code(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([self.terminal], [], [], 0.1)[0]:
                try:
                    self.screen += os.read(self.terminal, 4096)
                except OSError:
                    pass
            child, status = os.waitpid(self.child, os.WNOHANG)
            if child != 0:
                self.child = None
                return os.waitstatus_to_exitcode(status)
        self.fail(f"still running; the screen has {self.screen!r}")

    def test_talk_and_leave(self):
        self.start(*GREEDY)
        self.type("Hello!\r")
        self.expect(b"Hello!")
        self.assertRegex(self.prompt().decode(), r"\w+")
        self.type("\x04")
        self.assertEqual(self.exit_code(), OK)

    def test_line_editing(self):
        self.start(*GREEDY)
        self.type("/qXit\x1b[D\x1b[D\x7fu\r")  # left twice, backspace over X
        self.assertEqual(self.exit_code(), OK)

    def test_characters_beyond_ascii(self):
        self.start(*GREEDY)
        path = self.scratch / "saved"
        self.type("Grüße 🦙X\x7f!\r")
        self.prompt()
        self.type(f"/save {path}\r")
        self.expect(b"saved to")
        self.assertEqual(json.loads(path.read_text())[0]["content"], "Grüße 🦙!")

    def test_history(self):
        self.start(*GREEDY)
        self.type("/system remembered\r")
        self.prompt()
        self.type("/quit\r")
        self.assertEqual(self.exit_code(), OK)
        self.assertEqual(stat.S_IMODE(self.history.stat().st_mode), 0o600)
        self.start(*GREEDY)
        self.type("\x1b[A\x1b[A")  # up twice
        self.expect(b"remembered")
        self.type("\r")
        self.prompt()
        self.type("/quit\r")
        self.assertEqual(self.exit_code(), OK)

    def test_ctrl_c_stops_the_reply_only(self):
        self.start("--temperature", "3", "-n", "700", "--seed", "1")
        self.type("Tell me a long story.\r")
        self.expect(b"story.")
        self.expect(b"\n")
        self.screen += os.read(self.terminal, 1)  # the reply has begun
        self.type("\x03")
        self.prompt()
        self.type("/help\r")
        self.expect(b"/reset")
        self.prompt()
        self.type("\x04")
        self.assertEqual(self.exit_code(), OK)

    def test_ctrl_c_discards_the_line(self):
        self.start(*GREEDY)
        self.type("/quit")
        self.expect(b"/quit")
        self.type("\x03")
        self.prompt()
        self.type("/help\r")
        self.expect(b"/reset")
        self.prompt()
        self.type("\x04")
        self.assertEqual(self.exit_code(), OK)

    def test_an_error_does_not_end_the_talk(self):
        self.start(*GREEDY)
        self.type(f"/save {self.scratch}/no/where\r")
        self.expect(b"mixtral chat: ")
        self.prompt()
        self.type("\x04")
        self.assertEqual(self.exit_code(), OK)

    def test_unusable_history_is_no_error(self):
        (self.scratch / "state").write_text("a file, not a directory")
        self.start(*GREEDY)
        self.type("/quit\r")
        self.assertEqual(self.exit_code(), OK)


if __name__ == "__main__":
    unittest.main()
