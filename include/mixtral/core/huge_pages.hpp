// Large pages for memory that is read from end to end.
#pragma once

#include <cstddef>

namespace mixtral {

/// Bytes of the huge pages of x86-64, and of most others.
inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// Asks the system to back whole huge pages inside [memory, memory + bytes), of memory or of a mapped
/// file, as such from their first use on: one address translation then serves 2 MB instead of 4 KB. Only a
/// hint: nothing happens where the system has no huge pages, or none to spare.
void advise_huge_pages(void* memory, std::size_t bytes) noexcept;

}  // namespace mixtral
