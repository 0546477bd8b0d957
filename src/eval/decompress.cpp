#include "eval/decompress.hpp"

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include <limits>
#include <string>

#include "mixtral/core/error.hpp"

namespace mixtral::eval {
namespace {

bool unpack_snappy(std::span<const std::byte> bytes, std::span<std::byte> out) {
  const auto* in = reinterpret_cast<const char*>(bytes.data());
  std::size_t size = 0;
  if (snappy_uncompressed_length(in, bytes.size(), &size) != SNAPPY_OK || size != out.size()) {
    return false;
  }
  return snappy_uncompress(in, bytes.size(), reinterpret_cast<char*>(out.data()), &size) ==
             SNAPPY_OK &&
         size == out.size();
}

bool unpack_gzip(std::span<const std::byte> bytes, std::span<std::byte> out) {
  constexpr int kGzipOrZlib = 15 + 32;
  z_stream stream = {};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (inflateInit2(&stream, kGzipOrZlib) != Z_OK) return false;
  const int status = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  return status == Z_STREAM_END && stream.avail_out == 0;
}

bool unpack_zstd(std::span<const std::byte> bytes, std::span<std::byte> out) {
  return ZSTD_decompress(out.data(), out.size(), bytes.data(), bytes.size()) == out.size();
}

bool unpack(Codec codec, std::span<const std::byte> bytes, std::span<std::byte> out,
            std::string_view name) {
  switch (codec) {
    case Codec::none:
      if (bytes.size() != out.size()) return false;
      std::copy(bytes.begin(), bytes.end(), out.begin());
      return true;
    case Codec::snappy:
      return unpack_snappy(bytes, out);
    case Codec::gzip:
      return unpack_gzip(bytes, out);
    case Codec::zstd:
      return unpack_zstd(bytes, out);
  }
  throw Error(ErrorCode::unsupported,
              std::string(name) + ": expected no compression, snappy, gzip or zstd, found number " +
                  std::to_string(static_cast<int>(codec)));
}

}  // namespace

std::vector<std::byte> decompress(Codec codec, std::span<const std::byte> bytes, std::size_t size,
                                  std::string_view name) {
  constexpr std::size_t kMostForZlib = std::numeric_limits<uInt>::max();
  std::vector<std::byte> out(size);
  if (bytes.size() > kMostForZlib || size > kMostForZlib || !unpack(codec, bytes, out, name)) {
    throw Error(ErrorCode::format, std::string(name) + ": expected a compressed page of " +
                                       std::to_string(size) + " bytes, found something else");
  }
  return out;
}

}  // namespace mixtral::eval
