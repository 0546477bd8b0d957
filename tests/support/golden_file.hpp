// Files of golden tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "mixtral/io/safetensors.hpp"

namespace mixtral::test {

/// A safetensors file: tensors by name, as flat vectors.
class GoldenFile {
 public:
  explicit GoldenFile(const std::filesystem::path& path) : file_(path) {}

  std::vector<std::size_t> shape(const std::string& name) const { return entry(name).shape; }
  std::vector<float> floats(const std::string& name) const { return read<float>(name, "F32"); }
  std::vector<std::int32_t> ints(const std::string& name) const {
    return read<std::int32_t>(name, "I32");
  }
  std::vector<std::byte> bytes(const std::string& name) const {
    return read<std::byte>(name, "U8");
  }

 private:
  const SafetensorsEntry& entry(const std::string& name) const {
    for (const SafetensorsEntry& tensor : file_.header().tensors) {
      if (tensor.name == name) return tensor;
    }
    throw std::runtime_error("no golden tensor " + name);
  }

  template <class T>
  std::vector<T> read(const std::string& name, std::string_view dtype) const {
    const SafetensorsEntry& tensor = entry(name);
    if (tensor.dtype != dtype) throw std::runtime_error(name + " has another type");
    std::vector<T> values(tensor.bytes / sizeof(T));
    std::memcpy(values.data(), file_.data(tensor).data(), tensor.bytes);
    return values;
  }

  SafetensorsFile file_;
};

}  // namespace mixtral::test
