// mixtral verify: whether a native file is as it was written.
#include <memory>
#include <string>
#include <vector>

#include "command.hpp"
#include "io.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/core/thread_pool.hpp"
#include "mixtral/io/native_checkpoint.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "signals.hpp"

namespace mixtral::cli {
namespace {

struct VerifyArguments {
  std::string file;
  std::size_t n_threads = 0;
  bool json = false;
};

std::vector<std::string> damaged_parts(const NativeCheckpoint& checkpoint, std::size_t n_threads) {
  ThreadPool pool(n_threads);
  Progress progress("verifying", Progress::Unit::bytes);
  const auto on_progress = [&](const VerifyProgress& verified) {
    progress.update(verified.done, verified.total);
    return stop_signal() == 0;
  };
  return verify_checkpoint(checkpoint, on_progress, pool);
}

void verify(const VerifyArguments& arguments) {
  const NativeCheckpoint checkpoint(arguments.file);
  const std::vector<std::string> damaged = damaged_parts(checkpoint, arguments.n_threads);
  if (arguments.json) {
    print_json({{"file", arguments.file},
                {"file_bytes", checkpoint.file_bytes()},
                {"n_parts", checkpoint.parts().size()},
                {"damaged", damaged}});
  }
  if (!damaged.empty()) {
    std::string names;
    for (const std::string& name : damaged) names += (names.empty() ? "" : ", ") + name;
    throw Error(ErrorCode::format,
                "\"" + arguments.file + "\": the checksums of these parts are wrong: " + names);
  }
  if (arguments.json) return;
  print(arguments.file + ": all " + std::to_string(checkpoint.parts().size()) + " parts of " +
        format_bytes(static_cast<double>(checkpoint.file_bytes())) + " are as they were written\n");
}

}  // namespace

void add_verify(CLI::App& app) {
  auto arguments = std::make_shared<VerifyArguments>();
  CLI::App* command = app.add_subcommand("verify", "Check that a native file is undamaged");
  command->add_option("FILE", arguments->file, "A file that `mixtral convert` wrote")->required();
  add_threads_option(*command, arguments->n_threads);
  command->add_flag("--json", arguments->json, "Print JSON");
  command->footer(
      "Computes the checksum of the header and of every tensor, and names those that aren't what\n"
      "the file says they are; then the exit code is 4.\n\n"
      "Examples:\n"
      "  mixtral verify model.mixtral\n"
      "  mixtral verify model.mixtral --json");
  command->callback([arguments] { verify(*arguments); });
}

}  // namespace mixtral::cli
