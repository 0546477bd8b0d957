// Answers of the OpenAI API.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "api/error.hpp"
#include "api/request.hpp"
#include "api/target.hpp"

namespace mixtral::api {

/// What is the same in every part of an answer.
struct Envelope {
  std::string id;  ///< behind the prefix that says of which kind the answer is
  std::string model;
  std::int64_t created;  ///< seconds since 1970
};

/// With a random id and the time that it is now.
Envelope make_envelope(std::string model);

/// The whole answer; `results` are those of the request's jobs. `tokenizer` may be null.
Json make_answer(const Request& request, const Envelope& envelope, std::span<const Result> results,
                 const Tokenizer* tokenizer);

/// The answer in the parts that a stream has.
class AnswerStream {
 public:
  /// All must outlive this; `tokenizer` may be null.
  AnswerStream(const Request& request, const Envelope& envelope, const Tokenizer* tokenizer);

  /// Takes a piece of the text number `index`, or of its prompt, and returns what can be sent.
  std::vector<Json> push(std::size_t index, const Piece& piece);
  std::vector<Json> push_prompt(std::size_t index, const Piece& piece);

  /// What comes after all pieces.
  std::vector<Json> end() const;

 private:
  struct Choice {
    Result held;  ///< what isn't sent yet: scores of the prompt, a tool call
    bool has_begun = false;
    bool is_call = false;
    std::size_t offset = 0;  ///< in the text, of the next token
  };

  Json chunk(Json choice) const;
  std::vector<Json> push_chat(std::size_t index, Choice& choice, const Piece& piece);
  std::vector<Json> end_call(std::size_t index, const Choice& choice) const;
  Json delta(std::size_t index, Json content, std::span<const Piece> pieces, const Json& finish) const;
  Json text_chunk(std::size_t index, Choice& choice, std::span<const Piece> pieces);

  const Request& request_;
  const Envelope& envelope_;
  const Tokenizer* tokenizer_;
  std::vector<Choice> choices_;
  std::size_t n_new_ = 0;
};

}  // namespace mixtral::api
