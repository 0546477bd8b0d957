// Any text is an index whose files lie in its own directory, or an Error.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "check.hpp"
#include "io/hf_index.hpp"
#include "mixtral/core/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto files = mixtral::detail::parse_hf_index(text, "model.safetensors.index.json");
    check(!files.empty());
    for (const auto& [tensor, file] : files) {
      const auto path = std::filesystem::path("/models/mixtral") / file;
      check(path.lexically_normal().parent_path() == "/models/mixtral");
    }
  } catch (const mixtral::Error& error) {
    check(error.code() == mixtral::ErrorCode::format);
  }
  return 0;
}
