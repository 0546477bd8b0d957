// The tensors of a checkpoint's files by name, ticked off as the model takes them.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "io/file_tensor.hpp"

namespace mixtral::detail {

class TensorTable {
 public:
  /// Throws Error(format) for a second tensor of one name.
  void add(std::vector<FileTensor> tensors);

  bool contains(const std::string& name) const { return tensors_.contains(name); }

  /// Null when there is no tensor of this name.
  const std::vector<std::size_t>* shape_of(const std::string& name) const;

  /// The tensor of this name, which stays in place. Throws Error(format) when it is missing or has another shape.
  const FileTensor& take(const std::string& name, const std::vector<std::size_t>& shape);

  /// Lets a tensor that the model doesn't need be there.
  void tolerate(const std::string& name);

  /// Throws Error(format) when a tensor was neither taken nor tolerated.
  void check_all_used() const;

 private:
  struct Item {
    FileTensor tensor;
    bool used = false;
  };

  std::unordered_map<std::string, Item> tensors_;
};

}  // namespace mixtral::detail
