// Both tokenizers and the chat formats against mistral-common and SentencePiece themselves:
// tests/goldens/make_tokenizer_goldens.py says what they answer. MIXTRAL_TOKENIZER_GOLDENS_DIR in
// the environment names another directory of its results.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "mixtral/core/error.hpp"
#include "mixtral/text/chat_format.hpp"
#include "mixtral/text/streaming_decoder.hpp"
#include "support/catch.hpp"

using mixtral::ChatMessage;
using mixtral::ChatVersion;
using mixtral::Role;
using mixtral::TokenId;
using mixtral::Tokenizer;
using nlohmann::json;

namespace {

using Ids = std::vector<TokenId>;

std::filesystem::path goldens_directory() {
  const char* named = std::getenv("MIXTRAL_TOKENIZER_GOLDENS_DIR");
  return named != nullptr ? named : MIXTRAL_TOKENIZER_GOLDENS_DIR;
}

std::string from_hex(const json& value) {
  const auto& hex = value.get_ref<const std::string&>();
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

/// Calls `check` for every line of a JSONL file; there must be at least `least`.
void for_each_record(const std::string& name, std::size_t least,
                     const std::function<void(const json&)>& check) {
  std::ifstream file(goldens_directory() / name);
  INFO(goldens_directory() / name);
  std::size_t count = 0;
  for (std::string line; std::getline(file, line); ++count) {
    INFO(line);
    check(json::parse(line));
  }
  REQUIRE(count >= least);
}

/// Each version's tokenizer.model and tokenizer.json.
std::vector<std::shared_ptr<const Tokenizer>> tokenizers(const std::string& version) {
  return {mixtral::open_tokenizer(goldens_directory() / version),
          mixtral::open_tokenizer(goldens_directory() / (version + "_json"))};
}

std::string streamed(const std::shared_ptr<const Tokenizer>& tokenizer, const Ids& ids) {
  mixtral::StreamingDecoder decoder(tokenizer, mixtral::StreamingDecoder::Start::fresh);
  std::string text;
  for (const TokenId id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

std::string text_or_none(const json& object, const char* key) {
  return object.contains(key) ? from_hex(object[key]) : "";
}

std::vector<ChatMessage> conversation(const json& messages) {
  const std::map<std::string, Role> roles = {{"system", Role::system},
                                             {"user", Role::user},
                                             {"assistant", Role::assistant},
                                             {"tool", Role::tool}};
  std::vector<ChatMessage> result;
  for (const json& message : messages) {
    ChatMessage& said = result.emplace_back(ChatMessage{roles.at(message["role"])});
    said.content = text_or_none(message, "content");
    said.tool_call_id = text_or_none(message, "tool_call_id");
    for (const json& call : message.value("tool_calls", json::array())) {
      said.tool_calls.push_back(
          {from_hex(call["id"]), from_hex(call["name"]), from_hex(call["arguments"])});
    }
  }
  return result;
}

}  // namespace

TEST_CASE("the files of one version have the same vocabulary") {
  for (const std::string version : {"v1", "v3"}) {
    const auto pair = tokenizers(version);
    REQUIRE(pair[0]->vocab_size() == (version == "v1" ? 32000 : 32768));
    REQUIRE(pair[1]->vocab_size() == pair[0]->vocab_size());
    for (std::size_t i = 0; i < pair[0]->vocab_size(); ++i) {
      const auto id = static_cast<TokenId>(i);
      REQUIRE(pair[1]->piece(id) == pair[0]->piece(id));
      REQUIRE(pair[1]->kind(id) == pair[0]->kind(id));
      REQUIRE(pair[1]->find(pair[0]->piece(id)) == id);
    }
    for (const auto& tokenizer : pair) {
      CHECK(tokenizer->unk_id() == 0);
      CHECK(tokenizer->bos_id() == 1);
      CHECK(tokenizer->eos_id() == 2);
      CHECK(detect_chat_version(*tokenizer) ==
            (version == "v1" ? ChatVersion::v1 : ChatVersion::v3));
    }
  }
}

TEST_CASE("encode gives the same ids") {
  for (const std::string version : {"v1", "v3"}) {
    for (const auto& tokenizer : tokenizers(version)) {
      for_each_record("encode.jsonl", 2000, [&](const json& record) {
        REQUIRE(tokenizer->encode(from_hex(record["text"])) == record[version].get<Ids>());
      });
    }
  }
}

TEST_CASE("decode gives the same text, also in a stream") {
  for (const std::string version : {"v1", "v3"}) {
    for (const auto& tokenizer : tokenizers(version)) {
      for_each_record("decode_" + version + ".jsonl", 1000, [&](const json& record) {
        const Ids ids = record["ids"];
        const std::string text = from_hex(record["text"]);
        REQUIRE(tokenizer->decode(ids) == text);
        REQUIRE(streamed(tokenizer, ids) == text);
      });
    }
  }
}

TEST_CASE("conversations give the same ids, or are refused by both") {
  for (const std::string version : {"v1", "v3"}) {
    const ChatVersion format = version == "v1" ? ChatVersion::v1 : ChatVersion::v3;
    for (const auto& tokenizer : tokenizers(version)) {
      std::size_t refused = 0;
      for_each_record("chat.jsonl", 200, [&](const json& record) {
        const auto messages = conversation(record["messages"]);
        if (record[version].is_null()) {
          ++refused;
          REQUIRE_THROWS_AS(format_chat(*tokenizer, format, messages), mixtral::Error);
        } else {
          REQUIRE(format_chat(*tokenizer, format, messages) == record[version].get<Ids>());
        }
      });
      CHECK(refused > 0);
    }
  }
}

TEST_CASE("conversations with tools give the same ids, or are refused by both") {
  for (const auto& tokenizer : tokenizers("v3")) {
    for_each_record("chat_tools.jsonl", 150, [&](const json& record) {
      const auto messages = conversation(record["messages"]);
      const std::string tools = from_hex(record["tools"]);
      if (record["v3"].is_null()) {
        REQUIRE_THROWS_AS(format_chat(*tokenizer, ChatVersion::v3, messages, tools), mixtral::Error);
      } else {
        REQUIRE(format_chat(*tokenizer, ChatVersion::v3, messages, tools) == record["v3"].get<Ids>());
      }
    });
  }
}
