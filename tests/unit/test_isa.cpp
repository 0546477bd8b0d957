// Instruction sets against what the system says of the CPU.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>

#include "mixtral/core/error.hpp"
#include "mixtral/core/isa.hpp"
#include "mixtral/kernels/table.hpp"
#include "support/catch.hpp"

using namespace mixtral;

namespace {

/// The names that /proc/cpuinfo lists; the kernel leaves out what it doesn't save registers for.
std::set<std::string> cpu_flags() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("flags", 0) != 0) continue;
    std::istringstream words(line.substr(line.find(':') + 1));
    return {std::istream_iterator<std::string>(words), {}};
  }
  return {};
}

}  // namespace

#if defined(__x86_64__)
TEST_CASE("an instruction set is supported where the system lists all of its parts") {
  const std::set<std::string> flags = cpu_flags();
  if (flags.empty()) return;  // a system that lists none
  const auto has = [&](std::initializer_list<const char*> names) {
    return std::all_of(names.begin(), names.end(),
                       [&](const char* name) { return flags.count(name) == 1; });
  };
  const bool avx2 = has({"avx2", "fma", "f16c"});
  CHECK(is_supported(Isa::baseline));
  CHECK(is_supported(Isa::avx2) == avx2);
  CHECK(is_supported(Isa::avx2_vnni) == (avx2 && has({"avx_vnni"})));
  CHECK(is_supported(Isa::avx512) ==
        (avx2 && has({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx512_bf16"})));
}

TEST_CASE("every instruction set has its own kernels") {
  for (const Isa isa : kAllIsas) CHECK(kernel_table(isa).isa == isa);
}
#endif

TEST_CASE("the fastest supported instruction set is chosen, and no other than those can be asked for") {
  for (const Isa isa : kAllIsas) {
    INFO(name_of(isa));
    if (is_supported(isa)) {
      CHECK(select_isa(isa) == isa);
      CHECK(std::find(kAllIsas.begin(), kAllIsas.end(), isa) <=
            std::find(kAllIsas.begin(), kAllIsas.end(), detect_isa()));
    } else {
      CHECK_THROWS_AS(select_isa(isa), Error);
    }
  }
}
