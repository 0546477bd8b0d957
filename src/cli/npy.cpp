#include "npy.hpp"

namespace mixtral::cli {

std::string npy_header(std::size_t rows, std::size_t cols) {
  using namespace std::string_literals;
  std::string dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (" +
                           std::to_string(rows) + ", " + std::to_string(cols) + "), }";
  const std::string magic = "\x93NUMPY\x01\x00"s;
  constexpr std::size_t kLengthField = 2;
  const std::size_t unpadded = magic.size() + kLengthField + dictionary.size() + 1;
  dictionary.append((64 - unpadded % 64) % 64, ' ');
  dictionary += '\n';
  const std::size_t length = dictionary.size();  // far below 65536
  return magic + static_cast<char>(length & 0xff) + static_cast<char>(length >> 8) + dictionary;
}

}  // namespace mixtral::cli
