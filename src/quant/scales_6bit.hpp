// The packed scales and mins of Q4_K and Q5_K: 6 bits each for 8 groups, in 12 bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mixtral::quant::detail {

struct GroupScales {
  std::uint8_t scales[8];
  std::uint8_t mins[8];
};

inline void pack_scales(const std::uint8_t (&scales)[8], const std::uint8_t (&mins)[8],
                        std::uint8_t (&bytes)[12]) noexcept {
  for (std::size_t k = 0; k < 4; ++k) {
    bytes[k] = static_cast<std::uint8_t>(scales[k] | scales[4 + k] >> 4 << 6);
    bytes[4 + k] = static_cast<std::uint8_t>(mins[k] | mins[4 + k] >> 4 << 6);
    bytes[8 + k] = static_cast<std::uint8_t>((scales[4 + k] & 15) | (mins[4 + k] & 15) << 4);
  }
}

inline GroupScales unpack_scales(const std::uint8_t (&bytes)[12]) noexcept {
  GroupScales group;
  for (std::size_t k = 0; k < 4; ++k) {
    group.scales[k] = bytes[k] & 63;
    group.mins[k] = bytes[4 + k] & 63;
    group.scales[4 + k] = static_cast<std::uint8_t>((bytes[8 + k] & 15) | bytes[k] >> 6 << 4);
    group.mins[4 + k] = static_cast<std::uint8_t>(bytes[8 + k] >> 4 | bytes[4 + k] >> 6 << 4);
  }
  return group;
}

}  // namespace mixtral::quant::detail
