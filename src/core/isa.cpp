#include "mixtral/core/isa.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "mixtral/core/error.hpp"

namespace mixtral {
namespace {

#if defined(__x86_64__)

struct CpuId {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

CpuId cpuid(unsigned leaf, unsigned subleaf) noexcept {
  CpuId id;
  __get_cpuid_count(leaf, subleaf, &id.eax, &id.ebx, &id.ecx, &id.edx);
  return id;
}

constexpr bool has_bits(unsigned value, unsigned mask) noexcept { return (value & mask) == mask; }

/// Register state that the operating system saves (XCR0); 0 when it saves none.
unsigned saved_state() noexcept {
  if ((cpuid(1, 0).ecx & bit_OSXSAVE) == 0) return 0;
  unsigned low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

bool cpu_has_avx2() noexcept {
  constexpr unsigned kYmmState = 0x06;
  return has_bits(saved_state(), kYmmState) &&
         has_bits(cpuid(1, 0).ecx, bit_AVX | bit_FMA | bit_F16C) &&
         has_bits(cpuid(7, 0).ebx, bit_AVX2);
}

bool cpu_has_avx_vnni() noexcept {
  constexpr unsigned kAvxVnniBit = 1u << 4;  // leaf 7, subleaf 1, eax
  return cpu_has_avx2() && has_bits(cpuid(7, 1).eax, kAvxVnniBit);
}

bool cpu_has_avx512() noexcept {
  constexpr unsigned kZmmState = 0xe6;
  constexpr unsigned kBf16Bit = 1u << 5;  // leaf 7, subleaf 1, eax
  return cpu_has_avx2() && has_bits(saved_state(), kZmmState) &&
         has_bits(cpuid(7, 0).ebx,
                  bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL) &&
         has_bits(cpuid(7, 0).ecx, bit_AVX512VNNI) && has_bits(cpuid(7, 1).eax, kBf16Bit);
}

#else

bool cpu_has_avx2() noexcept { return false; }
bool cpu_has_avx_vnni() noexcept { return false; }
bool cpu_has_avx_vnni() noexcept {
  constexpr unsigned kAvxVnniBit = 1u << 4;  // leaf 7, subleaf 1, eax
  return cpu_has_avx2() && has_bits(cpuid(7, 1).eax, kAvxVnniBit);
}

bool cpu_has_avx512() noexcept { return false; }

#endif

std::optional<Isa> parse_isa(std::string_view name) noexcept {
  for (Isa isa : kAllIsas) {
    if (name == name_of(isa)) return isa;
  }
  return std::nullopt;
}

}  // namespace

std::string_view name_of(Isa isa) noexcept {
  switch (isa) {
    case Isa::baseline:
      return "baseline";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::avx2_vnni:
      return "avx2_vnni";
  }
  return "?";
}

bool is_supported(Isa isa) noexcept {
  switch (isa) {
    case Isa::baseline:
      return true;
    case Isa::avx2:
      return cpu_has_avx2();
    case Isa::avx512:
      return cpu_has_avx512();
    case Isa::avx2_vnni:
      return cpu_has_avx_vnni();
  }
  return false;
}

Isa detect_isa() noexcept {
  return *std::find_if(kAllIsas.rbegin(), kAllIsas.rend(), is_supported);
}

Isa select_isa(std::optional<Isa> requested) {
  std::string source = "ComputeOptions::isa";
  if (!requested) {
    const char* variable = std::getenv("MIXTRAL_ISA");
    if (variable == nullptr || *variable == '\0') return detect_isa();
    requested = parse_isa(variable);
    source = "MIXTRAL_ISA";
    if (!requested) {
      throw Error(ErrorCode::unsupported, "MIXTRAL_ISA is \"" + std::string(variable) +
                                              "\": expected baseline, avx2, avx2_vnni or avx512");
    }
  }
  if (!is_supported(*requested)) {
    throw Error(ErrorCode::unsupported, source + " asks for " + std::string(name_of(*requested)) +
                                            ", but the best this machine runs is " +
                                            std::string(name_of(detect_isa())));
  }
  return *requested;
}

}  // namespace mixtral
