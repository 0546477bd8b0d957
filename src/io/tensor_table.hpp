// The tensors of a checkpoint's files by name, ticked off as the model takes them.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "mixtral/core/tensor.hpp"
#include "mixtral/io/safetensors.hpp"

namespace mixtral::detail {

class TensorTable {
 public:
  /// Adds every tensor of `file`, which must stay in place. Throws Error(format) for a second tensor
  /// of one name.
  void add(const SafetensorsFile& file);

  bool contains(const std::string& name) const { return tensors_.contains(name); }

  /// The tensor of this name as a matrix: its last dimension is the columns, the others the rows.
  /// Throws Error(format) when it is missing or has another shape, Error(unsupported) when its
  /// elements aren't F32, F16 or BF16.
  WeightView take(const std::string& name, const std::vector<std::size_t>& shape);

  /// Lets a tensor that the model doesn't need be there.
  void tolerate(const std::string& name);

  /// Throws Error(format) when a tensor was neither taken nor tolerated.
  void check_all_used() const;

 private:
  struct Item {
    const SafetensorsFile* file;
    const SafetensorsEntry* entry;
    bool used = false;
  };

  std::unordered_map<std::string, Item> tensors_;
};

}  // namespace mixtral::detail
