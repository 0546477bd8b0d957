// NumPy's .npy files.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <cstddef>
#include <string>

namespace mixtral::cli {

/// The header (format 1.0) of a little-endian float32 array [rows, cols] in C order, whose elements
/// follow it: a multiple of 64 bytes.
std::string npy_header(std::size_t rows, std::size_t cols);

}  // namespace mixtral::cli
