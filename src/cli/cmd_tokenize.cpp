// mixtral tokenize: text to ids.
#include <memory>
#include <string>
#include <vector>

#include "command.hpp"
#include "io.hpp"
#include "mixtral/generate/model.hpp"
#include "options.hpp"

namespace mixtral::cli {
namespace {

struct TokenizeOptions {
  std::string model;
  std::string text = "-";
  bool no_bos = false;
  bool ids_only = false;
  bool json = false;
};

void tokenize(const TokenizeOptions& options) {
  const auto tokenizer = load_tokenizer(model_path(options.model));
  std::vector<TokenId> ids =
      tokenizer->encode(options.text == "-" ? read_input("-") : options.text);
  if (!options.no_bos) ids.insert(ids.begin(), tokenizer->bos_id());

  if (options.ids_only) return print(format_ids(ids) + "\n");
  if (options.json) {
    Json pieces = Json::array();
    for (const TokenId id : ids) pieces.push_back(tokenizer->piece(id));
    return print_json(Json{{"ids", ids}, {"pieces", pieces}});
  }
  std::string lines;
  for (const TokenId id : ids) {
    lines += std::to_string(id) + "\t" + std::string(tokenizer->piece(id)) + "\n";
  }
  print(lines);
}

}  // namespace

void add_tokenize(CLI::App& app) {
  auto options = std::make_shared<TokenizeOptions>();
  CLI::App* command = app.add_subcommand("tokenize", "Turn text into token ids");
  add_model_path(*command, options->model);
  command->add_option("TEXT", options->text,
                      "The text; \"-\" or nothing: standard input, every byte of it");
  command->add_flag("--no-bos", options->no_bos, "Don't begin with the beginning-of-text token");
  CLI::Option* ids = command->add_flag("--ids", options->ids_only, "Print 1,2,3 on one line");
  command->add_flag("--json", options->json, "Print {\"ids\": [...], \"pieces\": [...]}")
      ->excludes(ids);
  command->footer(
      "Without --ids or --json each line is an id, a tab and the vocabulary's piece.\n\n"
      "Examples:\n"
      "  mixtral tokenize examples/models/pocket-mixtral \"Once upon a time\"\n"
      "  printf 'Hello\\n' | mixtral tokenize examples/models/pocket-mixtral --no-bos --json");
  command->callback([options] { tokenize(*options); });
}

}  // namespace mixtral::cli
