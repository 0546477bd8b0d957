// mixtral detokenize: ids to text.
#include <memory>
#include <string>

#include "command.hpp"
#include "io.hpp"
#include "mixtral/generate/model.hpp"
#include "options.hpp"

namespace mixtral::cli {
namespace {

struct DetokenizeOptions {
  std::string model;
  std::string ids;
  bool json = false;
};

void detokenize(const DetokenizeOptions& options) {
  const std::vector<TokenId> ids = parse_ids(options.ids == "-" ? read_input("-") : options.ids);
  const std::string text = load_tokenizer(model_path(options.model))->decode(ids);
  if (options.json) return print_json(Json{{"text", text}});
  print(text + "\n");
}

}  // namespace

void add_detokenize(CLI::App& app) {
  auto options = std::make_shared<DetokenizeOptions>();
  CLI::App* command = app.add_subcommand("detokenize", "Turn token ids into text");
  add_model_path(*command, options->model);
  command->add_option("--ids", options->ids, "Ids such as 1,2,3; \"-\": from standard input")
      ->required();
  command->add_flag("--json", options->json, "Print {\"text\": ...}");
  command->footer(
      "The text is followed by a line break that isn't part of it; --json has the exact text.\n\n"
      "Examples:\n"
      "  mixtral detokenize examples/models/pocket-mixtral --ids 1,319,263\n"
      "  mixtral tokenize MODEL --ids \"round trip\" | mixtral detokenize MODEL --ids -");
  command->callback([options] { detokenize(*options); });
}

}  // namespace mixtral::cli
