#include "mixtral/text/tokenizer.hpp"

#include <fstream>
#include <system_error>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/text/streaming_decoder.hpp"

namespace mixtral {
namespace {

using detail::quote;

constexpr std::uintmax_t kMaxFileBytes = std::uintmax_t{1} << 26;

std::vector<std::byte> read_file(const std::filesystem::path& path) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) throw Error(ErrorCode::io, quote(path) + ": " + error.message());
  if (size > kMaxFileBytes) {
    throw Error(ErrorCode::format, quote(path) + ": " + std::to_string(size) +
                                       " bytes; a tokenizer has at most " +
                                       std::to_string(kMaxFileBytes));
  }
  std::vector<std::byte> bytes(size);
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size))) {
    throw Error(ErrorCode::io, path.string() + ": can't be read");
  }
  return bytes;
}

}  // namespace

std::string Tokenizer::decode(std::span<const TokenId> ids) const {
  const std::shared_ptr<const Tokenizer> not_owned(std::shared_ptr<const void>(), this);
  StreamingDecoder decoder(not_owned, StreamingDecoder::Start::fresh);
  std::string text;
  for (const TokenId id : ids) text += decoder.push(id);
  text += decoder.finish();
  return text;
}

std::shared_ptr<const Tokenizer> open_tokenizer(const std::filesystem::path& directory) {
  using std::filesystem::exists;
  std::error_code error;
  if (const auto path = directory / "tokenizer.model"; exists(path, error)) {
    return parse_sentencepiece(read_file(path), path.string());
  }
  if (const auto path = directory / "tokenizer.json"; exists(path, error)) {
    return parse_tokenizer_json(read_file(path), path.string());
  }
  throw Error(ErrorCode::io,
              quote(directory) + ": neither tokenizer.model nor tokenizer.json is there");
}

}  // namespace mixtral
