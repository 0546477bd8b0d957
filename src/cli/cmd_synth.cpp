// mixtral synth: random weights in a true shape.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "command.hpp"
#include "io.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/core/thread_pool.hpp"
#include "mixtral/io/synthetic.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "signals.hpp"

namespace mixtral::cli {
namespace {

struct SynthOptions {
  std::string directory;
  std::string shape;
  std::optional<std::size_t> n_layers;
  std::string dtype = "bf16";
  std::uint64_t seed = 0;
  std::size_t n_threads = 0;
};

[[noreturn]] void reject_shape(const std::string& shape) {
  throw Error(ErrorCode::invalid_argument,
              "--shape: expected 8x7b, 8x22b or positive numbers "
              "HIDDENxFFNxLAYERS[xHEADS[xKV_HEADS[xEXPERTS[xVOCAB]]]], found \"" +
                  shape + "\"");
}

/// The numbers between the "x", at most 7; 0 for those that are missing.
std::array<std::size_t, 7> parse_dimensions(const std::string& shape) {
  std::array<std::size_t, 7> numbers = {};
  const char* at = shape.data();
  const char* const end = at + shape.size();
  for (std::size_t& number : numbers) {
    const auto [stop, error] = std::from_chars(at, end, number);
    if (error != std::errc() || number == 0) reject_shape(shape);
    at = stop;
    if (at == end) return numbers;
    if (*at++ != 'x') reject_shape(shape);
  }
  reject_shape(shape);
}

/// 128 as in the released models, or the largest power of two below that fits.
std::size_t default_head_count(std::size_t hidden) noexcept {
  std::size_t head_dim = 128;
  while (hidden % head_dim != 0) head_dim /= 2;
  return hidden / head_dim;
}

/// Mixtral-8x7B-v0.1.
Config default_config() {
  Config config;
  config.n_layers = 32;
  config.hidden = 4096;
  config.ffn = 14336;
  config.n_heads = 32;
  config.n_kv_heads = 8;
  config.head_dim = 128;
  config.n_experts = 8;
  config.top_k = 2;
  config.vocab = 32000;
  config.max_position = 32768;
  config.rope_theta = 1e6;
  config.rms_norm_eps = 1e-5;
  return config;
}

Config config_of_shape(const std::string& shape) {
  Config config = default_config();
  if (shape == "8x7b") return config;
  if (shape == "8x22b") {
    config.n_layers = 56;
    config.hidden = 6144;
    config.ffn = 16384;
    config.n_heads = 48;
    config.max_position = 65536;
    return config;
  }
  const auto [hidden, ffn, layers, heads, kv_heads, experts, vocab] = parse_dimensions(shape);
  if (layers == 0) reject_shape(shape);
  config.hidden = hidden;
  config.ffn = ffn;
  config.n_layers = layers;
  config.n_heads = heads != 0 ? heads : default_head_count(hidden);
  config.n_kv_heads = kv_heads != 0             ? kv_heads
                      : config.n_heads % 4 == 0 ? config.n_heads / 4
                                                : config.n_heads;
  config.head_dim = hidden / config.n_heads;
  if (config.head_dim * config.n_heads != hidden) {
    throw Error(ErrorCode::invalid_argument, "--shape: " + std::to_string(hidden) +
                                                 " hidden don't divide among " +
                                                 std::to_string(config.n_heads) + " heads");
  }
  if (experts != 0) config.n_experts = experts;
  config.top_k = std::min<std::size_t>(2, config.n_experts);
  if (vocab != 0) config.vocab = vocab;
  return config;
}

DType parse_dtype(std::string_view name) noexcept {
  return name == "f32" ? DType::f32 : name == "f16" ? DType::f16 : DType::bf16;
}

void synth(const SynthOptions& options) {
  Config config = config_of_shape(options.shape);
  config.n_layers = options.n_layers.value_or(config.n_layers);
  ThreadPool pool(options.n_threads);
  Progress progress("writing", Progress::Unit::bytes);
  write_synthetic_checkpoint(options.directory, config,
                             {.dtype = parse_dtype(options.dtype),
                              .seed = options.seed,
                              .on_progress =
                                  [&](const SyntheticProgress& written) {
                                    progress.update(written.done, written.total);
                                    return stop_signal() == 0;
                                  }},
                             pool);
}

}  // namespace

void add_synth(CLI::App& app) {
  auto options = std::make_shared<SynthOptions>();
  CLI::App* command = app.add_subcommand("synth", "Write a model of random weights");
  command->add_option("DIR", options->directory, "The directory, which must not exist yet")
      ->required();
  command
      ->add_option("--shape", options->shape,
                   "8x7b, 8x22b or HIDDENxFFNxLAYERS[xHEADS[xKV_HEADS[xEXPERTS[xVOCAB]]]]")
      ->required();
  command->add_option("--layers", options->n_layers, "Layers, instead of the shape's")
      ->check(whole_number(1));
  command->add_option("--dtype", options->dtype, "Type of the weights (default: bf16)")
      ->check(CLI::IsMember({"f32", "f16", "bf16"}));
  command
      ->add_option(
          "--seed", options->seed,
          "Where the random numbers start; the same seed gives the same files (default: 0)")
      ->check(whole_number(0));
  add_threads_option(*command, options->n_threads);
  command->footer(
      "DIR becomes a Hugging Face directory without a tokenizer, for benchmarks and tests. What a\n"
      "shape leaves out: heads of 128 (or the largest power of two below that divides HIDDEN), a\n"
      "quarter as many kv heads, 8 experts of which 2 are used, a vocabulary of 32000.\n\n"
      "Examples:\n"
      "  mixtral synth /tmp/big --shape 8x22b --layers 2\n"
      "  mixtral synth /tmp/small --shape 256x512x4 --dtype f32 --seed 7\n"
      "  mixtral synth /tmp/odd --shape 192x320x2x6x3x4x1000");
  command->callback([options] { synth(*options); });
}

}  // namespace mixtral::cli
