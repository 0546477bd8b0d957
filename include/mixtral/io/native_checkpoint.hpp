// Native files: a whole model in one safetensors file, its weights in the layout of the kernels.
// docs/model_files.md describes the format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mixtral/core/config.hpp"
#include "mixtral/core/executor.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "mixtral/io/mapped_file.hpp"

namespace mixtral {

/// A stretch of a native file that has a checksum: the header, a tensor with the zeros after it, or the
/// checksums of all these.
struct NativePart {
  std::string name;
  std::span<const std::byte> bytes;
  std::uint64_t checksum;  ///< what the file says: XXH3-64
};

/// What lies where in a native file. Everything points into the bytes that were parsed.
struct NativeIndex {
  Config config;
  GenerationDefaults generation_defaults;
  std::string recipe;               ///< what the weights were packed by; JSON (see recipe.hpp)
  std::map<std::string, std::string_view, std::less<>> files;  ///< by name, as in kModelFiles
  std::vector<WeightView> weights;  ///< in the order of visit_tensors; they begin at multiples of 4096
  std::vector<NativePart> parts;    ///< the whole file in order: the header, the tensors, the checksums
};

/// Reads and checks the structure of a native file; of weights, it touches no byte. `name` stands for
/// the file in messages. Memory and time are linear in the size of the header. Checksums aren't compared.
/// Throws Error(unsupported) for another format, saying which it is if that can be told, and for a
/// newer version; Error(format) naming the tensor or key at fault.
NativeIndex parse_native(std::span<const std::byte> bytes, std::string_view name);

/// A mapped native file. Opening it reads the header and the configuration.
class NativeCheckpoint final : public Checkpoint {
 public:
  /// Throws Error as MappedFile and parse_native do, and Error(format) when the header's checksum is
  /// wrong; the others are verify_checkpoint's to compare.
  explicit NativeCheckpoint(const std::filesystem::path& path);

  const Config& config() const noexcept override { return index_.config; }
  const GenerationDefaults& generation_defaults() const noexcept override {
    return index_.generation_defaults;
  }
  WeightView tensor(TensorKey key) const override;
  std::optional<std::string> file(std::string_view name) const override;
  std::size_t weight_bytes() const noexcept override;
  void check_unchanged() const override { file_.check_unchanged(); }

  const std::string& recipe() const noexcept { return index_.recipe; }
  std::size_t file_bytes() const noexcept { return file_.bytes().size(); }
  std::span<const NativePart> parts() const noexcept { return index_.parts; }

 private:
  MappedFile file_;
  NativeIndex index_;
};

/// True when `path` is a safetensors file that says it is a native one. Throws nothing but bad_alloc.
bool is_native_file(const std::filesystem::path& path);

struct VerifyProgress {
  std::size_t done;   ///< bytes compared so far
  std::size_t total;  ///< bytes of all parts
};

/// Called between steps; returning false stops with Error(cancelled).
using VerifyCallback = std::function<bool(const VerifyProgress&)>;

/// Computes every checksum. Returns the names of the parts where it isn't what the file says: none when
/// the file is as it was written. Throws Error(io) when the file shrinks meanwhile.
std::vector<std::string> verify_checkpoint(const NativeCheckpoint& checkpoint,
                                           const VerifyCallback& on_progress, Executor& executor);

}  // namespace mixtral
