// The subcommands. Each `add_` function declares one on the application, with its options, its help
// and what it does; it throws mixtral::Error when that fails.
#pragma once

#include <CLI/CLI.hpp>

namespace mixtral::cli {

void add_generate(CLI::App& app);
void add_chat(CLI::App& app);
void add_tokenize(CLI::App& app);
void add_detokenize(CLI::App& app);
void add_logits(CLI::App& app);
void add_perplexity(CLI::App& app);
void add_eval(CLI::App& app);
void add_info(CLI::App& app);
void add_convert(CLI::App& app);
void add_verify(CLI::App& app);
void add_synth(CLI::App& app);
void add_batch(CLI::App& app);
void add_bench(CLI::App& app);
#ifdef MIXTRAL_HAS_SERVER
void add_serve(CLI::App& app);
#endif

}  // namespace mixtral::cli
