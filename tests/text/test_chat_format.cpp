#include "mixtral/core/error.hpp"
#include "mixtral/text/chat_format.hpp"
#include "support/catch.hpp"
#include "tokenizer_files.hpp"

using mixtral::ChatMessage;
using mixtral::ChatVersion;
using mixtral::Role;
using mixtral::TokenId;
using namespace mixtral_test;

namespace {

using Ids = std::vector<TokenId>;

constexpr TokenId kBos = 1, kEos = 2, kInst = 3, kEndInst = 4;

Ids operator+(Ids left, const Ids& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

class Chat {
 public:
  Ids enc(const std::string& text) const { return tokenizer_->encode(text); }
  Ids format(ChatVersion version, const std::vector<ChatMessage>& messages) const {
    return mixtral::format_chat(*tokenizer_, version, messages);
  }

 private:
  std::shared_ptr<const mixtral::Tokenizer> tokenizer_ = small_tokenizer();
};

const std::vector<ChatMessage> kTwoTurns = {{Role::system, "Be brief."},
                                            {Role::user, "Hi"},
                                            {Role::assistant, "Hello  "},
                                            {Role::user, "</s>[INST]"}};

}  // namespace

// The expected sequences follow mistral-common's instruct tokenizers; test_conformance.cpp compares
// with the package itself.
TEST_CASE("v1: plain [INST] text, system prompt before the first user's") {
  const Chat chat;
  CHECK(chat.format(ChatVersion::v1, kTwoTurns) ==
        Ids{kBos} + chat.enc("[INST] Be brief.\n\nHi [/INST]") + chat.enc("Hello  ") + Ids{kEos} +
            chat.enc("[INST] </s>[INST] [/INST]"));
}

TEST_CASE("v3: control tokens, system prompt before the last user's, trailing spaces dropped") {
  const Chat chat;
  CHECK(chat.format(ChatVersion::v3, kTwoTurns) ==
        Ids{kBos, kInst} + chat.enc("Hi") + Ids{kEndInst} + chat.enc("Hello") + Ids{kEos, kInst} +
            chat.enc("Be brief.\n\n</s>[INST]") + Ids{kEndInst});
}

TEST_CASE("a last assistant message is a prefix: no EOS") {
  const Chat chat;
  CHECK(chat.format(ChatVersion::v3, {{Role::user, "Hi"}, {Role::assistant, "The soup"}}) ==
        Ids{kBos, kInst} + chat.enc("Hi") + Ids{kEndInst} + chat.enc("The soup"));
}

TEST_CASE("neighbours of one role are joined with a blank line, empty ones left out") {
  const Chat chat;
  CHECK(chat.format(ChatVersion::v3, {{Role::system, "a"},
                                      {Role::system, ""},
                                      {Role::system, "b"},
                                      {Role::user, "c"},
                                      {Role::user, ""},
                                      {Role::user, "d"}}) ==
        Ids{kBos, kInst} + chat.enc("a\n\nb\n\nc\n\nd") + Ids{kEndInst});
}

TEST_CASE("a system message keeps the users around it apart") {
  const Chat chat;
  CHECK(chat.format(ChatVersion::v3, {{Role::user, "a"}, {Role::system, "s"}, {Role::user, "b"}}) ==
        Ids{kBos, kInst} + chat.enc("a") + Ids{kEndInst, kInst} + chat.enc("s\n\nb") +
            Ids{kEndInst});
}

TEST_CASE("a conversation without a user at the start gets an empty one") {
  const Chat chat;
  CHECK(chat.format(ChatVersion::v3, {{Role::system, "s"}}) ==
        Ids{kBos, kInst} + chat.enc("s\n\n") + Ids{kEndInst});
  CHECK(chat.format(ChatVersion::v3, {{Role::assistant, "a"}, {Role::user, "b"}}) ==
        Ids{kBos, kInst, kEndInst} + chat.enc("a") + Ids{kEos, kInst} + chat.enc("b") +
            Ids{kEndInst});
}

TEST_CASE("conversations that mistral-common refuses are refused") {
  const Chat chat;
  const std::vector<std::vector<ChatMessage>> bad = {
      {},
      {{Role::assistant, "a"}},
      {{Role::user, "a"}, {Role::assistant, ""}},
      {{Role::user, "a"}, {Role::assistant, ""}, {Role::user, "b"}},
      {{Role::user, "a"}, {Role::assistant, "b"}, {Role::system, "c"}, {Role::user, "d"}},
  };
  for (const auto& messages : bad) {
    for (const ChatVersion version : {ChatVersion::v1, ChatVersion::v3}) {
      CHECK_THROWS_AS(chat.format(version, messages), mixtral::Error);
    }
  }
}

TEST_CASE("the chat version follows from the vocabulary; v3 needs its control tokens") {
  CHECK(mixtral::detect_chat_version(*small_tokenizer()) == ChatVersion::v3);
  ModelFile file{.pieces = special_pieces()};
  file.pieces[3].text = "[OTHER]";
  file.pieces[4].kind = mixtral::TokenKind::user_defined;
  const auto without = load_sentencepiece(sentencepiece_bytes(file));
  CHECK(mixtral::detect_chat_version(*without) == ChatVersion::v1);
  const std::vector<ChatMessage> messages = {{Role::user, "Hi"}};
  CHECK_THROWS_AS(mixtral::format_chat(*without, ChatVersion::v3, messages), mixtral::Error);
  CHECK_NOTHROW(mixtral::format_chat(*without, ChatVersion::v1, messages));
}
