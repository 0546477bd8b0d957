// The mixtral command.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <iostream>
#include <new>
#include <string>

#include "command.hpp"
#include "exit_code.hpp"
#include "mixtral/core/error.hpp"
#include "signals.hpp"

namespace mixtral::cli {
namespace {

constexpr const char* kFooter =
    "'mixtral COMMAND --help' shows the options of a command, with examples.\n\n"
    "Text goes to standard output, everything else to standard error.\n\n"
    "Exit codes:\n"
    "  0    success\n"
    "  1    a defect of this program, or a failure that no other code names\n"
    "  2    an option, an argument or its value is wrong\n"
    "  3    a file is missing, unreadable or unwritable, or changed while it was in use\n"
    "  4    a file is malformed, or holds a model that isn't supported\n"
    "  5    the context is too small, or memory ran out\n"
    "  130  interrupted by Ctrl-C; other signals give 128 + their number\n\n"
    "Environment:\n"
    "  MIXTRAL_ISA   baseline, avx2, avx2_vnni or avx512, as --isa\n"
    "  MIXTRAL_GEMM  native, onednn, openblas or eigen, as --gemm";

void add_commands(CLI::App& app) {
  app.footer(kFooter);
  app.set_version_flag("--version", "mixtral " MIXTRAL_VERSION);
  app.require_subcommand(1);
  add_generate(app);
  add_chat(app);
  add_tokenize(app);
  add_detokenize(app);
  add_logits(app);
  add_perplexity(app);
  add_eval(app);
  add_info(app);
  add_convert(app);
  add_verify(app);
  add_synth(app);
  add_batch(app);
  add_bench(app);
#ifdef MIXTRAL_HAS_SERVER
  add_serve(app);
#endif
}

bool has_command(CLI::App& app, const std::string& name) {
  return !app.get_subcommands([&](CLI::App* command) { return command->get_name() == name; })
              .empty();
}

/// "mixtral generate", or "mixtral" before a command was recognised.
std::string invocation(const CLI::App& app) {
  const auto commands = app.get_subcommands();
  return commands.empty() ? "mixtral" : "mixtral " + commands.front()->get_name();
}

int fail(const CLI::App& app, const std::string& message, int exit_code) {
  std::fprintf(stderr, "%s: %s\n", invocation(app).c_str(), message.c_str());
  return exit_code;
}

int fail_usage(const CLI::App& app, const std::string& message) {
  return fail(app, message + "\nTry '" + invocation(app) + " --help'.", kUsage);
}

int run(CLI::App& app, int argc, char** argv) {
  try {
    if (argc < 2) return fail_usage(app, "expected a command");
    if (*argv[1] != '-' && !has_command(app, argv[1])) {
      return fail_usage(app, "unknown command \"" + std::string(argv[1]) + "\"");
    }
    app.parse(argc, argv);
    return kSuccess;
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return fail_usage(app, error.what());
  } catch (const Error& error) {
    const bool by_signal = error.code() == ErrorCode::cancelled && stop_signal() != 0;
    return fail(app, error.what(), by_signal ? 128 + stop_signal() : exit_code_of(error.code()));
  } catch (const std::bad_alloc&) {
    return fail(app, "out of memory", kNoRoom);
  } catch (const std::exception& error) {
    return fail(app, error.what(), kFailure);
  }
}

}  // namespace
}  // namespace mixtral::cli

int main(int argc, char** argv) {
  mixtral::cli::install_signal_handlers();
  CLI::App app("Runs Mixtral sparse mixture-of-experts language models on CPUs.", "mixtral");
  mixtral::cli::add_commands(app);
  return mixtral::cli::run(app, argc, argv);
}
