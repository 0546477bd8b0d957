// mixtral chat: a conversation at the terminal.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "command.hpp"
#include "io.hpp"
#include "line_reader.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/generate/context.hpp"
#include "mixtral/io/output_file.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "signals.hpp"

namespace mixtral::cli {
namespace {

constexpr std::size_t kDefaultReply = 1024;

constexpr const char* kHelp =
    "/help         this list\n"
    "/reset        forget the conversation, but not the system message\n"
    "/system TEXT  begin a new conversation with this system message; without TEXT: with none\n"
    "/save FILE    write the conversation to FILE as JSON\n"
    "/quit         leave, as Ctrl-D does\n"
    "Ctrl-C stops the reply.\n";

struct ChatOptions {
  ModelOptions model;
  SamplingFlags sampling;
  std::string system;
  std::size_t n_tokens = 0;
};

std::string_view name_of(Role role) noexcept {
  switch (role) {
    case Role::system:
      return "system";
    case Role::user:
      return "user";
    case Role::assistant:
      return "assistant";
    case Role::tool:
      return "tool";
  }
  return "?";
}

void note(const std::string& text) { std::fputs((text + "\n").c_str(), stderr); }

class Conversation {
 public:
  explicit Conversation(const ChatOptions& options)
      : model_(load_model(options.model)),
        context_(model_, options.model.context()),
        system_(options.system) {
    generate_.sampling = options.sampling.over(model_.default_sampling());
    model_.tokenizer();  // what can't work should fail before the first message
    validate(*generate_.sampling, model_.config().vocab);
    generate_.max_new_tokens =
        options.n_tokens > 0 ? options.n_tokens
                             : std::clamp<std::size_t>(context_.capacity() / 2, 1, kDefaultReply);
    reset();
  }

  const Model& model() const noexcept { return model_; }

  /// Says `text` and prints the reply.
  void say(const std::string& text) {
    messages_.push_back({Role::user, text});
    std::string reply;
    try {
      reply = print_reply();
    } catch (...) {
      messages_.pop_back();
      throw;
    }
    if (reply.empty()) {
      messages_.pop_back();
    } else {
      messages_.push_back({Role::assistant, std::move(reply)});
    }
  }

  void reset() {
    messages_.clear();
    if (!system_.empty()) messages_.push_back({Role::system, system_});
  }

  void set_system(std::string_view text) {
    system_ = text;
    reset();
  }

  void save(const std::string& path) const {
    Json all = Json::array();
    for (const ChatMessage& message : messages_) {
      all.push_back({{"role", name_of(message.role)}, {"content", message.content}});
    }
    OutputFile file(path);
    file.append(all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
    file.commit();
  }

 private:
  std::string print_reply() {
    std::optional<Progress> progress(std::in_place, "reading");
    GenerateOptions options = generate_;
    options.on_prompt = [&](const PromptProgress& prompt) {
      if (progress) progress->update(prompt.done, prompt.total);
      return stop_signal() == 0;
    };
    Generation generation = begin_reply(options);
    std::string reply;
    while (const std::optional<TokenEvent> event = generation.next()) {
      progress.reset();
      print(event->text);
      reply += event->text;
      if (stop_signal() != 0) break;
    }
    progress.reset();
    print("\n");
    ++generate_.sampling->seed;  // the same question may get another answer
    return reply;
  }

  /// Forgets the oldest exchanges while the conversation doesn't fit the context.
  Generation begin_reply(const GenerateOptions& options) {
    for (;;) {
      try {
        return context_.chat(messages_, options);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::capacity || !forget_oldest_exchange()) throw;
        note("(the conversation is longer than the context: its oldest part is forgotten)");
      }
    }
  }

  bool forget_oldest_exchange() {
    const std::size_t first = system_.empty() ? 0 : 1;
    if (messages_.size() < first + 3) return false;
    messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(first),
                    messages_.begin() + static_cast<std::ptrdiff_t>(first + 2));
    return true;
  }

  Model model_;
  Context context_;
  GenerateOptions generate_;
  std::string system_;
  std::vector<ChatMessage> messages_;
};

/// Carries out a line that begins with "/". False when it asks to leave.
bool obey(std::string_view line, Conversation& conversation) {
  const std::size_t space = line.find(' ');
  const std::string_view name = line.substr(0, space);
  const std::string_view argument =
      space == std::string_view::npos ? "" : trimmed(line.substr(space));
  if (name == "/quit") return false;
  if (name == "/help") {
    std::fputs(kHelp, stderr);
  } else if (name == "/reset") {
    conversation.reset();
  } else if (name == "/system") {
    conversation.set_system(argument);
  } else if (name == "/save" && !argument.empty()) {
    conversation.save(std::string(argument));
    note("saved to " + std::string(argument));
  } else if (name == "/save") {
    note("/save: expected the name of a file");
  } else {
    note(std::string(name) + ": unknown command; /help lists them");
  }
  return true;
}

/// The next line; an empty one when Ctrl-C at a terminal discards it.
std::optional<std::string> read_line(LineReader& reader, bool is_terminal) {
  try {
    return reader.read();
  } catch (const Error&) {
    if (!is_terminal || stop_signal() != SIGINT) throw;
    clear_interrupt();
    return "";
  }
}

void chat(const ChatOptions& options) {
  Conversation conversation(options);
  const bool is_terminal = ::isatty(STDIN_FILENO) == 1;
  const auto reader =
      is_terminal ? make_terminal_reader(default_history_file()) : make_plain_reader();
  if (is_terminal) note("/help lists the commands; Ctrl-C stops a reply, Ctrl-D quits.");
  while (const std::optional<std::string> line = read_line(*reader, is_terminal)) {
    if (trimmed(*line).empty()) continue;
    try {
      if (line->front() != '/') {
        conversation.say(*line);
      } else if (!obey(*line, conversation)) {
        break;
      }
    } catch (const Error& error) {
      // At a terminal one can go on; a script must hear of it.
      if (!is_terminal || error.code() == ErrorCode::cancelled) throw;
      note(std::string("mixtral chat: ") + error.what());
    }
    clear_interrupt();
    check_interrupt();
  }
}

}  // namespace

void add_chat(CLI::App& app) {
  auto options = std::make_shared<ChatOptions>();
  CLI::App* command = app.add_subcommand("chat", "Talk with the model");
  add_model_options(*command, options->model);
  add_context_option(*command, options->model, "4096, or what the model was made for");
  command->add_option("--system", options->system, "A system message");
  command
      ->add_option("-n,--max-tokens", options->n_tokens,
                   "At most so many tokens in a reply (default: 1024, or half the context)")
      ->check(whole_number(1));
  add_sampling_options(*command, options->sampling);
  command->footer(
      "Lines that begin with \"/\" are commands: /help lists them. Ctrl-C stops the reply, Ctrl-D\n"
      "quits. Lines that were typed are kept in $XDG_STATE_HOME/mixtral/history (by default in\n"
      "~/.local/state). When standard input is no terminal, each of its lines is a message and "
      "only\n"
      "the replies are printed.\n\n"
      "Examples:\n"
      "  mixtral chat examples/models/pocket-mixtral\n"
      "  mixtral chat MODEL --system \"Answer in one sentence.\" --temperature 0.7\n"
      "  printf 'Hello!\\nAnd bye.\\n' | mixtral chat MODEL");
  command->callback([options] { chat(*options); });
}

}  // namespace mixtral::cli
