#include "eval/python_random.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <unordered_set>

namespace mixtral::eval {
namespace {

/// The state that the Mersenne Twister's reference code derives from an array of one word
/// (init_by_array, Matsumoto and Nishimura 2002), which is how CPython seeds it.
class SeedByArray {
 public:
  using result_type = std::uint32_t;

  explicit SeedByArray(std::uint32_t key) {
    state_[0] = 19650218;
    for (std::size_t i = 1; i < kWords; ++i) {
      state_[i] = 1812433253 * mixed(state_[i - 1]) + static_cast<std::uint32_t>(i);
    }
    std::size_t i = 1;
    for (std::size_t k = 0; k < kWords; ++k) {
      state_[i] = (state_[i] ^ (mixed(state_[i - 1]) * 1664525)) + key;
      i = next(i);
    }
    for (std::size_t k = 0; k + 1 < kWords; ++k) {
      state_[i] =
          (state_[i] ^ (mixed(state_[i - 1]) * 1566083941)) - static_cast<std::uint32_t>(i);
      i = next(i);
    }
    state_[0] = 0x80000000;
  }

  /// What std::mt19937 asks a seed sequence for.
  template <class Iterator>
  void generate(Iterator first, Iterator last) const {
    std::copy_n(state_.begin(), last - first, first);
  }

 private:
  static constexpr std::size_t kWords = std::mt19937::state_size;

  static std::uint32_t mixed(std::uint32_t word) { return word ^ (word >> 30); }

  std::size_t next(std::size_t i) {
    if (i + 1 < kWords) return i + 1;
    state_[0] = state_[kWords - 1];
    return 1;
  }

  std::array<std::uint32_t, kWords> state_;
};

/// Python's size of a hash set of k elements, from which on it prefers one to a list of `n`.
std::size_t set_size(std::size_t k) {
  std::size_t size = 21;
  if (k > 5) {
    std::size_t table = 1;
    while (table < 3 * k) table *= 4;
    size += table;
  }
  return size;
}

}  // namespace

PythonRandom::PythonRandom(std::uint32_t seed) {
  SeedByArray state(seed);
  twister_.seed(state);
}

std::size_t PythonRandom::below(std::size_t n) {
  const auto n_bits = static_cast<unsigned>(std::bit_width(n));
  const auto draw = [&]() -> std::size_t {
    if (n_bits <= 32) return twister_() >> (32 - n_bits);
    const std::size_t low = twister_();
    return low | static_cast<std::size_t>(twister_() >> (64 - n_bits)) << 32;
  };
  std::size_t number = draw();
  while (number >= n) number = draw();
  return number;
}

std::vector<std::size_t> PythonRandom::sample(std::size_t n, std::size_t k) {
  std::vector<std::size_t> chosen(k);
  if (n <= set_size(k)) {
    std::vector<std::size_t> pool(n);
    for (std::size_t i = 0; i < n; ++i) pool[i] = i;
    for (std::size_t i = 0; i < k; ++i) {
      std::size_t& drawn = pool[below(n - i)];
      chosen[i] = drawn;
      drawn = pool[n - i - 1];
    }
    return chosen;
  }
  std::unordered_set<std::size_t> seen;
  for (std::size_t& index : chosen) {
    do {
      index = below(n);
    } while (!seen.insert(index).second);
  }
  return chosen;
}

}  // namespace mixtral::eval
