#include "mixtral/core/config.hpp"

#include <cmath>
#include <limits>
#include <string>

#include "core/checked.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral {
namespace {

// Far above any model, low enough that the product of any two fits 64 bits with room to spare.
constexpr std::size_t kMaxSize = 1 << 24;
constexpr std::size_t kMaxPosition = std::numeric_limits<std::int32_t>::max();

struct SizeField {
  const char* name;
  std::size_t Config::*value;
  std::size_t most;
};

constexpr SizeField kSizeFields[] = {
    {"n_layers", &Config::n_layers, 1 << 16},   {"hidden", &Config::hidden, kMaxSize},
    {"ffn", &Config::ffn, kMaxSize},            {"n_heads", &Config::n_heads, 1 << 16},
    {"n_kv_heads", &Config::n_kv_heads, 1 << 16}, {"head_dim", &Config::head_dim, 1 << 16},
    {"n_experts", &Config::n_experts, 1 << 16}, {"top_k", &Config::top_k, 1 << 16},
    {"vocab", &Config::vocab, kMaxSize},        {"max_position", &Config::max_position, kMaxPosition},
};

[[noreturn]] void fail(const std::string& field, const std::string& expected,
                       const std::string& found) {
  throw Error(ErrorCode::invalid_argument, field + ": expected " + expected + ", found " + found);
}

void check_size(const char* name, std::size_t value, std::size_t most) {
  if (value == 0 || value > most) fail(name, "1 .. " + std::to_string(most), std::to_string(value));
}

void check_id(const char* name, TokenId id, std::size_t vocab) {
  if (id < 0 || static_cast<std::size_t>(id) >= vocab) {
    fail(name, "an id below the vocabulary's " + std::to_string(vocab), std::to_string(id));
  }
}

/// Every count of elements or bytes that the library computes is a part of these two.
void check_products(const Config& c) {
  using detail::checked_product;
  const auto per_layer = checked_product({c.n_experts, c.ffn, c.hidden, 4});
  const auto experts = per_layer ? checked_product({*per_layer, c.n_layers, sizeof(float)}) : per_layer;
  const auto attention = checked_product({c.n_layers, c.n_heads, c.head_dim, c.hidden, 16});
  const auto cache = checked_product({c.n_layers, c.n_heads, c.head_dim, c.max_position, 8});
  constexpr std::size_t kMostBytes = std::size_t{1} << 60;
  for (const auto& bytes : {experts, attention, cache}) {
    if (!bytes || *bytes > kMostBytes) {
      throw Error(ErrorCode::invalid_argument,
                  "the sizes multiply to more bytes than any machine can address");
    }
  }
}

}  // namespace

void validate(const Config& config) {
  for (const SizeField& field : kSizeFields) {
    check_size(field.name, config.*field.value, field.most);
  }
  if (config.n_heads % config.n_kv_heads != 0) {
    fail("n_kv_heads", "a divisor of n_heads = " + std::to_string(config.n_heads),
         std::to_string(config.n_kv_heads));
  }
  if (config.head_dim % 2 != 0) {
    fail("head_dim", "an even number, for RoPE pairs", std::to_string(config.head_dim));
  }
  if (config.top_k > config.n_experts) {
    fail("top_k", "at most n_experts = " + std::to_string(config.n_experts),
         std::to_string(config.top_k));
  }
  if (config.sliding_window) check_size("sliding_window", *config.sliding_window, kMaxPosition);
  if (!std::isfinite(config.rope_theta) || config.rope_theta < 1) {
    fail("rope_theta", "a finite number of at least 1", std::to_string(config.rope_theta));
  }
  if (!(config.rms_norm_eps > 0 && config.rms_norm_eps < 1)) {
    fail("rms_norm_eps", "a number between 0 and 1", std::to_string(config.rms_norm_eps));
  }
  check_id("bos_id", config.bos_id, config.vocab);
  for (const TokenId id : config.eos_ids) check_id("eos_ids", id, config.vocab);
  check_products(config);
}

}  // namespace mixtral
