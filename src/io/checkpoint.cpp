#include "mixtral/io/checkpoint.hpp"

#include <system_error>

#include "core/message.hpp"
#include "io/file_status.hpp"
#include "io/gguf_checkpoint.hpp"
#include "io/hf_checkpoint.hpp"
#include "io/load_progress.hpp"
#include "io/mistral_checkpoint.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/native_checkpoint.hpp"

namespace mixtral {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<Checkpoint> open_native_checkpoint(const fs::path& path,
                                                   const LoadCallback& on_progress) {
  detail::report(on_progress, path, {0, 1});
  auto checkpoint = std::make_unique<NativeCheckpoint>(path);
  detail::report(on_progress, path, {1, 1});
  return checkpoint;
}

}  // namespace

std::unique_ptr<Checkpoint> open_checkpoint(const fs::path& path, const LoadCallback& on_progress) {
  if (!detail::is_there(path)) {
    throw Error(ErrorCode::io, detail::quote(path) +
                                   ": expected a model directory of Hugging Face or Mistral, a GGUF "
                                   "file or a native file, found nothing of that name");
  }
  std::error_code error;
  if (fs::is_directory(path, error)) {
    if (detail::is_mistral_checkpoint(path)) return detail::open_mistral_checkpoint(path, on_progress);
    if (!detail::is_there(path / "config.json")) {
      if (const auto file = detail::find_gguf_model(path)) {
        return detail::open_gguf_checkpoint(*file, on_progress);
      }
    }
    return detail::open_hf_checkpoint(path, on_progress);
  }
  if (detail::is_gguf_file(path)) return detail::open_gguf_checkpoint(path, on_progress);
  return open_native_checkpoint(path, on_progress);
}

}  // namespace mixtral
