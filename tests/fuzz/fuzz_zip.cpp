// Any bytes are an archive whose files lie inside it without overlap, or an Error.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "check.hpp"
#include "io/zip.hpp"
#include "mixtral/core/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mixtral;
  try {
    auto entries = detail::list_zip(std::as_bytes(std::span(data, size)), "fuzz.zip");
    std::set<std::string_view> names;
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.offset < b.offset; });
    std::size_t end = 0;
    for (const detail::ZipEntry& entry : entries) {
      check(names.insert(entry.name).second);
      check(entry.offset >= end && entry.offset <= size && entry.bytes.size() <= size - entry.offset);
      check(reinterpret_cast<const std::uint8_t*>(entry.bytes.data()) == data + entry.offset);
      end = entry.offset + entry.bytes.size();
    }
  } catch (const Error& error) {
    check(error.code() == ErrorCode::format || error.code() == ErrorCode::unsupported);
  }
  return 0;
}
