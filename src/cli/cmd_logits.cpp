// mixtral logits: what the network says after each of some tokens, as an array.
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "command.hpp"
#include "io.hpp"
#include "mixtral/generate/context.hpp"
#include "mixtral/io/output_file.hpp"
#include "npy.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "signals.hpp"

namespace mixtral::cli {
namespace {

struct LogitsOptions {
  ModelOptions model;
  std::string ids;
  std::string output;
};

void logits(const LogitsOptions& options) {
  const std::vector<TokenId> ids = parse_ids(options.ids == "-" ? read_input("-") : options.ids);
  const Model model = load_model(options.model);
  ContextOptions context_options = options.model.context();
  if (context_options.n_ctx == 0) context_options.n_ctx = ids.size();
  Context context(model, context_options);

  OutputFile file(options.output);
  file.append(npy_header(ids.size(), model.config().vocab));
  Progress progress("computing");
  context.eval(ids, [&](std::size_t first, MatrixView<const float> rows) {
    check_interrupt();
    file.append(std::as_bytes(std::span(rows.data, rows.rows * rows.cols)));
    progress.update(first + rows.rows, ids.size());
  });
  file.commit();
}

}  // namespace

void add_logits(CLI::App& app) {
  auto options = std::make_shared<LogitsOptions>();
  CLI::App* command = app.add_subcommand("logits", "Write the logits after each token to a file");
  add_model_options(*command, options->model);
  add_context_option(*command, options->model, "as many as there are ids");
  command->add_option("--ids", options->ids, "Ids such as 1,2,3; \"-\": from standard input")
      ->required();
  command->add_option("-o,--output", options->output, "The file, replaced when complete")
      ->required();
  command->footer(
      "The file is a NumPy array float32 [n_tokens, vocab]; row i is what follows the tokens "
      "0..i.\n"
      "\n"
      "Examples:\n"
      "  mixtral logits examples/models/pocket-mixtral --ids 1,319,263 -o logits.npy\n"
      "  mixtral logits MODEL --ids 1,2,3 -o exact.npy --precision f32\n"
      "  python3 -c 'import numpy; print(numpy.load(\"logits.npy\").argmax(axis=1))'");
  command->callback([options] { logits(*options); });
}

}  // namespace mixtral::cli
