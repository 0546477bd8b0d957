// Writes native files in one pass, with a checksum of every part.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "io/checksum.hpp"
#include "mixtral/core/tensor.hpp"
#include "mixtral/io/safetensors_writer.hpp"

namespace mixtral::detail {

/// What a native file is to hold.
struct NativeContents {
  struct File {
    std::string name, text;
  };
  struct Weight {
    std::string name;
    WeightView view;  ///< without data
  };

  std::string recipe;
  std::vector<File> files;
  std::vector<Weight> weights;  ///< in the order of visit_tensors
};

/// The file appears under its name only when it is committed. One thread at a time.
class NativeWriter {
 public:
  /// Writes the header and the files. Throws Error(io) when the disk has too little room for all, or
  /// can't be written.
  NativeWriter(const std::filesystem::path& path, const NativeContents& contents);

  /// The next bytes of the weights, of one weight at a time. Throws Error(io).
  void append(std::span<const std::byte> bytes);

  /// Writes the checksums. To be called once, last. Throws Error as SafetensorsWriter does.
  void commit();

 private:
  void write(std::span<const std::byte> bytes);
  void end_part();
  void end_weight();

  std::vector<std::size_t> weight_bytes_;  // of each weight, in order
  std::size_t weight_ = 0;                 // the one being written
  std::size_t written_ = 0;                // bytes of it
  Checksum checksum_;                      // of the part being written
  std::vector<std::uint64_t> checksums_;
  SafetensorsWriter writer_;
};

}  // namespace mixtral::detail
