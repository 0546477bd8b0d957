#include <sentencepiece_processor.h>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/text/tokenizer.hpp"
#include "text/input_text.hpp"
#include "text/sentencepiece_model.hpp"

namespace mixtral {
namespace {

class SentencePieceTokenizer final : public detail::VocabularyTokenizer {
 public:
  SentencePieceTokenizer(detail::SentencePieceModel model, std::string_view name)
      : VocabularyTokenizer(std::move(model.vocabulary)), name_(name) {}

  /// SentencePiece sees only a model that we wrote ourselves from checked values: on other ones it
  /// may print, abort or read out of bounds.
  void load(const std::string& checked_model) {
    check(processor_.LoadFromSerializedProto(checked_model));
  }

  std::vector<TokenId> encode(std::string_view text) const override {
    detail::check_text_size(text);
    std::vector<TokenId> ids;
    check(processor_.Encode(text, &ids));
    return ids;
  }

 private:
  void check(const sentencepiece::util::Status& status) const {
    if (!status.ok()) {
      throw Error(ErrorCode::internal,
                  detail::quote(name_) + ": SentencePiece: " + status.error_message());
    }
  }

  std::string name_;
  sentencepiece::SentencePieceProcessor processor_;
};

}  // namespace

std::shared_ptr<const Tokenizer> parse_sentencepiece(std::span<const std::byte> bytes,
                                                     std::string_view name) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  detail::SentencePieceModel model = detail::parse_sentencepiece_model(text, name);
  const std::string checked_model = serialize(model);
  auto tokenizer = std::make_shared<SentencePieceTokenizer>(std::move(model), name);
  tokenizer->load(checked_model);
  return tokenizer;
}

}  // namespace mixtral
