// data.pkl of a torch.save archive: a pickled dictionary of tensors, read without executing anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace mixtral::detail {

/// A tensor of the dictionary: a view of a storage, which is another file of the archive.
struct PickledTensor {
  std::string_view name;                ///< in the pickle's bytes
  std::string_view storage_class;       ///< such as "BFloat16Storage"; static
  std::string_view storage;             ///< the key of its file
  std::uint64_t storage_elements = 0;
  std::uint64_t first = 0;              ///< element of the storage
  std::vector<std::uint64_t> shape = {};    ///< at most kMaxPickledRank dimensions
  std::vector<std::uint64_t> strides = {};  ///< in elements, as many
};

inline constexpr std::size_t kMaxPickledRank = 8;
inline constexpr std::size_t kMaxPickleBytes = std::size_t{1} << 26;

/// Reads a pickle of protocol 2 whose object is a dictionary of strings and tensors. It is data for a
/// machine of a few opcodes that can make strings, numbers, tuples, lists, dictionaries and tensors;
/// any other opcode, any global that a dictionary of tensors doesn't need, and arguments of the wrong kind
/// are Error(format) or Error(unsupported) with the offset. Nothing is checked against the storages.
/// `file` stands for the pickle in messages. Memory and time are linear in its size, and bounded by an
/// upper limit on the number of objects.
std::vector<PickledTensor> read_pickled_tensors(std::span<const std::byte> pickle,
                                                std::string_view file);

}  // namespace mixtral::detail
