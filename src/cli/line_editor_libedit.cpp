#include <histedit.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <system_error>

#include "line_reader.hpp"
#include "signals.hpp"

namespace mixtral::cli {
namespace {

constexpr int kHistoryLines = 1000;

char* question(EditLine*) {
  static char text[] = "> ";
  return text;
}

/// libedit shows other characters than ASCII only when the locale has them.
void use_utf8_characters() {
  std::setlocale(LC_CTYPE, "");
  if (MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
}

/// Waits for a byte of standard input. False when a signal has asked to stop, however close to the
/// wait it came: signals are let in only by ppoll itself.
bool wait_for_input() {
  sigset_t stopping, usual;
  ::sigemptyset(&stopping);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&stopping, signal);
  ::pthread_sigmask(SIG_BLOCK, &stopping, &usual);
  pollfd input = {STDIN_FILENO, POLLIN, 0};
  const bool is_ready = stop_signal() == 0 && ::ppoll(&input, 1, nullptr, &usual) > 0;
  ::pthread_sigmask(SIG_SETMASK, &usual, nullptr);
  return is_ready;
}

/// What libedit calls for the next character: 1, 0 at the end of the input, -1 for an error.
int read_character(EditLine*, wchar_t* character) {
  constexpr auto kInvalid = static_cast<std::size_t>(-1);
  constexpr auto kIncomplete = static_cast<std::size_t>(-2);
  std::mbstate_t state = {};
  for (;;) {
    if (!wait_for_input()) return -1;
    char byte = 0;
    const ssize_t count = ::read(STDIN_FILENO, &byte, 1);
    if (count <= 0) return static_cast<int>(count);
    const std::size_t result = std::mbrtowc(character, &byte, 1, &state);
    if (result == kInvalid) state = {};
    if (result != kInvalid && result != kIncomplete) return 1;
  }
}

class LibeditReader final : public LineReader {
 public:
  explicit LibeditReader(const std::filesystem::path& history_file)
      : history_file_(history_file), history_(::history_init()) {
    use_utf8_characters();
    editor_.reset(::el_init("mixtral", stdin, stderr, stderr));
    HistEvent event;
    ::history(history_.get(), &event, H_SETSIZE, kHistoryLines);
    ::history(history_.get(), &event, H_SETUNIQUE, 1);
    if (!history_file_.empty()) ::history(history_.get(), &event, H_LOAD, history_file_.c_str());
    ::el_set(editor_.get(), EL_PROMPT, question);
    ::el_set(editor_.get(), EL_GETCFN, read_character);
    ::el_set(editor_.get(), EL_EDITOR, "emacs");
    ::el_set(editor_.get(), EL_HIST, ::history, history_.get());
    ::el_source(editor_.get(), nullptr);  // the user's ~/.editrc
  }

  std::optional<std::string> read() override {
    ::el_resize(editor_.get());
    int length = 0;
    const char* text = ::el_gets(editor_.get(), &length);
    if (text == nullptr || length <= 0) {
      std::fputc('\n', stderr);
      check_interrupt();
      return std::nullopt;
    }
    std::string line(text, static_cast<std::size_t>(length));
    while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
    if (!line.empty()) remember(line);
    return line;
  }

 private:
  struct EndEditor {
    void operator()(EditLine* editor) const noexcept { ::el_end(editor); }
  };
  struct EndHistory {
    void operator()(History* history) const noexcept { ::history_end(history); }
  };

  void remember(const std::string& line) {
    HistEvent event;
    ::history(history_.get(), &event, H_ENTER, line.c_str());
    if (history_file_.empty()) return;
    std::error_code ignored;
    std::filesystem::create_directories(history_file_.parent_path(), ignored);
    const mode_t before = ::umask(077);  // libedit creates the file first and restricts it then
    ::history(history_.get(), &event, H_SAVE, history_file_.c_str());
    ::umask(before);
  }

  std::filesystem::path history_file_;
  std::unique_ptr<History, EndHistory> history_;
  std::unique_ptr<EditLine, EndEditor> editor_;
};

}  // namespace

std::unique_ptr<LineReader> make_terminal_reader(const std::filesystem::path& history_file) {
  return std::make_unique<LibeditReader>(history_file);
}

}  // namespace mixtral::cli
