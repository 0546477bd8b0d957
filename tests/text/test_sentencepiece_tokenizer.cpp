#include <unistd.h>

#include <cstdio>
#include <functional>
#include <limits>
#include <random>

#include "mixtral/core/error.hpp"
#include "support/catch.hpp"
#include "tokenizer_files.hpp"

using mixtral::Error;
using mixtral::ErrorCode;
using mixtral::TokenId;
using mixtral::TokenKind;
using namespace mixtral_test;

namespace {

using Ids = std::vector<TokenId>;

ModelFile valid_file() {
  ModelFile file{.pieces = special_pieces()};
  for (const char* text : {"\xE2\x96\x81", "a", "b", "ab"}) {
    file.pieces.push_back({text, -static_cast<float>(file.pieces.size())});
  }
  return file;
}

/// Everything that anyone writes to stdout or stderr while it lives.
class CapturedOutput {
 public:
  CapturedOutput() {
    std::fflush(nullptr);
    dup2(fileno(file_), STDOUT_FILENO);
    dup2(fileno(file_), STDERR_FILENO);
  }
  ~CapturedOutput() {
    restore();
    std::fclose(file_);
    close(stdout_);
    close(stderr_);
  }
  CapturedOutput(const CapturedOutput&) = delete;
  CapturedOutput& operator=(const CapturedOutput&) = delete;

  long finish() {
    restore();
    std::fseek(file_, 0, SEEK_END);
    return std::ftell(file_);
  }

 private:
  void restore() {
    std::fflush(nullptr);
    dup2(stdout_, STDOUT_FILENO);
    dup2(stderr_, STDERR_FILENO);
  }

  int stdout_ = dup(STDOUT_FILENO);
  int stderr_ = dup(STDERR_FILENO);
  std::FILE* file_ = std::tmpfile();
};

void check_refused(const std::string& bytes, ErrorCode code, const std::string& message_part) {
  try {
    load_sentencepiece(bytes);
    FAIL("loaded, but expected: " << message_part);
  } catch (const Error& error) {
    INFO(error.what());
    CHECK(error.code() == code);
    CHECK(std::string(error.what()).find(message_part) != std::string::npos);
    CHECK(std::string(error.what()).find("test.model") != std::string::npos);
  }
}

}  // namespace

TEST_CASE("a model made by SentencePiece's trainer reads as the trainer was told") {
  const auto tokenizer = small_tokenizer();
  CHECK(tokenizer->vocab_size() == 700);
  CHECK(tokenizer->unk_id() == 0);
  CHECK(tokenizer->bos_id() == 1);
  CHECK(tokenizer->eos_id() == 2);
  CHECK(tokenizer->piece(2) == "</s>");
  CHECK(tokenizer->piece(7) == "<0x00>");
  CHECK(tokenizer->kind(0) == TokenKind::unknown);
  CHECK(tokenizer->kind(1) == TokenKind::control);
  CHECK(tokenizer->kind(5) == TokenKind::user_defined);
  CHECK(tokenizer->kind(7) == TokenKind::byte);
  CHECK(tokenizer->kind(263) == TokenKind::normal);
  CHECK(tokenizer->find("[INST]") == 3);
  CHECK_FALSE(tokenizer->find("no such piece"));
  CHECK_THROWS_AS(tokenizer->piece(700), Error);
  CHECK_THROWS_AS(tokenizer->kind(-1), Error);
}

// Expected ids: spm_encode --output_format=id of SentencePiece 0.1.97.
TEST_CASE("encode gives what spm_encode gives") {
  const auto tokenizer = small_tokenizer();
  CHECK(tokenizer->encode("") == Ids{});
  CHECK(tokenizer->encode("The cook stirs the soup.") == Ids{479, 511, 550, 270, 334, 633});
  CHECK(tokenizer->encode("  two  spaces") == Ids{268, 492, 613, 267, 631, 619, 593, 618});
  CHECK(tokenizer->encode("naïve 日本語 🙂") == Ids{545, 499, 613, 247, 166, 160, 137});
  CHECK(tokenizer->encode("1234567") == Ids{613, 640, 656, 642, 59, 60, 657, 62});
  CHECK(tokenizer->encode("x\ty") == Ids{613, 669, 16, 638});
}

TEST_CASE("each byte that is not UTF-8 reads as U+FFFD") {
  const auto tokenizer = small_tokenizer();
  CHECK(tokenizer->encode("\xFF\xFE ok") == Ids{613, 246, 198, 196, 246, 198, 196, 279, 636});
  CHECK(tokenizer->encode("\xFF\xFE ok") == tokenizer->encode("\xEF\xBF\xBD\xEF\xBF\xBD ok"));
}

TEST_CASE("names of control tokens in text stay text; user-defined pieces are found") {
  const auto tokenizer = small_tokenizer();
  CHECK(tokenizer->encode("<s>[INST] Hi [/INST]</s>") ==
        Ids{390, 618, 69, 665, 649, 85,  662, 663, 666, 613, 661, 620,
            613, 665, 54, 649, 85,  662, 663, 666, 658, 54,  618, 69});
  CHECK(tokenizer->encode("see [REF_12] and [REF_1]") == Ids{301, 614, 613, 6, 288, 613, 5});
}

TEST_CASE("a model written piece by piece loads") {
  const auto tokenizer = load_sentencepiece(sentencepiece_bytes(valid_file()));
  const auto first = static_cast<TokenId>(special_pieces().size());
  CHECK(tokenizer->encode("ab") == Ids{first, first + 3});
}

TEST_CASE("a model that isn't ours to run is refused, silently and with a reason") {
  struct Case {
    ErrorCode code;
    std::string message_part;
    std::function<void(ModelFile&)> change;
  };
  const auto refuse = [](ErrorCode code, const char* part, std::function<void(ModelFile&)> change) {
    return Case{code, part, std::move(change)};
  };
  const auto add = [](std::string text, float score = 0, TokenKind kind = TokenKind::normal) {
    return [=](ModelFile& file) { file.pieces.push_back({text, score, kind}); };
  };
  const auto nest = [](std::size_t depth) {
    return [=](ModelFile& file) {
      for (std::size_t i = 0; i < depth; ++i) {
        file.pieces.push_back({"x" + std::string(i, 'y'), 0, TokenKind::user_defined});
      }
    };
  };
  constexpr auto kFormat = ErrorCode::format;
  constexpr auto kUnsupported = ErrorCode::unsupported;
  const std::vector<Case> cases = {
      refuse(kUnsupported, "model type 1", [](ModelFile& file) { file.model_type = 1; }),
      refuse(kUnsupported, "model type 99", [](ModelFile& file) { file.model_type = 99; }),
      refuse(kUnsupported, "byte fallback", [](ModelFile& file) { file.byte_fallback = false; }),
      refuse(kUnsupported, "suffix", [](ModelFile& file) { file.space_as_suffix = true; }),
      refuse(kUnsupported, "unk_surface", [](ModelFile& file) { file.unk_surface = "?"; }),
      refuse(kUnsupported, "identity", [](ModelFile& file) { file.charsmap = "xxxxxxxx"; }),
      refuse(kUnsupported, "identity",
             [](ModelFile& file) { file.denormalizer_charsmap = "xxxxxxxx"; }),
      refuse(kUnsupported, "add_dummy_prefix",
             [](ModelFile& file) { file.add_dummy_prefix = false; }),
      refuse(kUnsupported, "remove_extra_whitespaces",
             [](ModelFile& file) { file.remove_extra_spaces = true; }),
      refuse(kUnsupported, "escape_whitespaces",
             [](ModelFile& file) { file.escape_spaces = false; }),
      refuse(kUnsupported, "prefixes of each other", nest(65)),
      refuse(kUnsupported, "no piece for byte 10",
             [](ModelFile& file) {
               file.pieces[15] = {"q", 0, TokenKind::normal};
             }),
      refuse(kUnsupported, "plain text could turn into", add("#", 0, TokenKind::control)),
      refuse(kFormat, "is empty", add("")),
      refuse(kFormat, "repeats piece", add("ab")),
      refuse(kFormat, "repeats piece", add("<s>")),
      refuse(kFormat, "UTF-8", add("\xFF")),
      refuse(kFormat, "UTF-8", add(std::string("a\0b", 3), 0, TokenKind::user_defined)),
      refuse(kFormat, "1025 bytes", add(std::string(1025, 'x'))),
      refuse(kFormat, "finite", add("zz", std::numeric_limits<float>::quiet_NaN())),
      refuse(kFormat, "finite", add("zz", std::numeric_limits<float>::infinity())),
      refuse(kFormat, "second unknown", add("zz", 0, TokenKind::unknown)),
      refuse(kFormat, "<0xHH>", add("<0x0a>", 0, TokenKind::byte)),
      refuse(kFormat, "no unknown",
             [](ModelFile& file) { file.pieces[0].kind = TokenKind::normal; }),
      refuse(kFormat, "unk_id", [](ModelFile& file) { file.unk_id = 7; }),
      refuse(kFormat, "not a control piece", [](ModelFile& file) { file.bos_id = 300000; }),
      refuse(kFormat, "not a control piece", [](ModelFile& file) { file.eos_id = ~0ull; }),
      refuse(kFormat, "not a control piece", [](ModelFile& file) { file.eos_id = 6; }),
      refuse(kFormat, "another piece", [](ModelFile& file) { file.bos_id = 2; }),
      refuse(kFormat, "another piece", [](ModelFile& file) { file.bos_piece = "<bos>"; }),
  };
  CapturedOutput output;
  for (const Case& test : cases) {
    ModelFile file = valid_file();
    test.change(file);
    check_refused(sentencepiece_bytes(file), test.code, test.message_part);
  }
  ModelFile nested = valid_file();
  nest(64)(nested);
  CHECK_NOTHROW(load_sentencepiece(sentencepiece_bytes(nested)));
  CHECK(output.finish() == 0);
}

TEST_CASE("bytes that are no ModelProto are refused, silently") {
  const std::string valid = sentencepiece_bytes(valid_file());
  CapturedOutput output;
  check_refused("", ErrorCode::unsupported, "model type");
  check_refused("hello", ErrorCode::format, "not a SentencePiece model");
  check_refused(valid + '\x0A', ErrorCode::format, "truncated");
  check_refused(valid + std::string("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"),
                ErrorCode::format, "truncated");
  check_refused(valid + std::string(11, '\xFF'), ErrorCode::format, "64 bits");
  check_refused(valid + std::string("\x00\x01", 2), ErrorCode::format, "field number");
  check_refused(valid + std::string("\x0B\x0C"), ErrorCode::format, "wire type 3");
  check_refused(valid + std::string("\x08\x01"), ErrorCode::format, "wrong type");
  check_refused(valid + std::string("\x0A\x02\x18\x05"), ErrorCode::unsupported, "UNUSED");
  check_refused(valid + std::string("\x0A\x02\x18\x63"), ErrorCode::format, "unknown type 99");
  CHECK(output.finish() == 0);
}

TEST_CASE("a self test inside a model is not run") {
  // SentencePiece would log the failing sample: field 4, one sample, "ab" -> "nonsense".
  const std::string self_test(
      "\x22\x10\x0A\x0E\x0A\x02"
      "ab\x12\x08nonsense",
      18);
  CapturedOutput output;
  CHECK_NOTHROW(load_sentencepiece(sentencepiece_bytes(valid_file()) + self_test));
  CHECK(output.finish() == 0);
}

TEST_CASE("every truncation of a model is refused") {
  const std::string bytes = small_model_bytes();
  REQUIRE(bytes.size() > 10000);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    if (size % 7 != 0 && size < bytes.size() - 200) continue;
    INFO(size);
    const std::string_view part = std::string_view(bytes).substr(0, size);
    // The normaliser's last fields restate defaults, so that losing exactly these changes nothing.
    if (bytes.size() - size <= 2) continue;
    CHECK_THROWS_AS(load_sentencepiece(part), Error);
  }
}

TEST_CASE("flipped bits give an error or a usable tokenizer") {
  const std::string bytes = small_model_bytes();
  std::mt19937_64 random(1);
  CapturedOutput output;
  for (int i = 0; i < 1000; ++i) {
    std::string changed = bytes;
    for (std::uint64_t flips = 1 + random() % 3; flips > 0; --flips) {
      changed[random() % changed.size()] ^= static_cast<char>(1 << random() % 8);
    }
    try {
      const auto tokenizer = load_sentencepiece(changed);
      for (const TokenId id : tokenizer->encode("The cook [REF_1] \xFF 日本語 🙂"))
        tokenizer->piece(id);
    } catch (const Error&) {
    }
  }
  CHECK(output.finish() == 0);
}
