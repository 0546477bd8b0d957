// Against what CPython computed.
#include <utf8proc.h>

#include <array>
#include <set>

#include "eval/python_random.hpp"
#include "eval/python_text.hpp"
#include "eval_data.hpp"
#include "support/catch.hpp"

using namespace mixtral::eval;

TEST_CASE("Python: random numbers, shuffles and samples") {
  for (const auto& golden : goldens()["python"]["random"]) {
    const auto seed = golden["seed"].get<std::uint32_t>();
    CAPTURE(seed);
    PythonRandom random(seed);
    std::vector<int> shuffled(50);
    for (int i = 0; i < 50; ++i) shuffled[i] = i;
    random.shuffle(std::span(shuffled));
    CHECK(shuffled == golden["shuffled"].get<std::vector<int>>());
    for (const auto& sample : golden["samples"]) {
      CAPTURE(sample[0], sample[1]);
      CHECK(random.sample(sample[0], sample[1]) == sample[2].get<std::vector<std::size_t>>());
    }
    std::size_t n = 1;
    for (const auto& number : golden["below"]) CHECK(random.below(n++) == number.get<std::size_t>());
    n = std::size_t{1} << 40;
    for (const auto& number : golden["big"]) CHECK(random.below(n++) == number.get<std::size_t>());
  }
}

TEST_CASE("Python: strip, rstrip, len and capitalize") {
  for (const auto& golden : goldens()["python"]["texts"]) {
    const auto text = golden["text"].get<std::string>();
    CAPTURE(text);
    CHECK(strip(text) == golden["strip"].get<std::string>());
    CHECK(rstrip(text) == golden["rstrip"].get<std::string>());
    CHECK(n_characters(text) == golden["length"].get<std::size_t>());
    // Their title case is several characters.
    static const std::set<std::string> kSpecial = {"ŉ", "ﬁSH"};
    if (!kSpecial.contains(text)) CHECK(capitalize(text) == golden["capitalize"].get<std::string>());
  }
}

TEST_CASE("Python: what is white space") {
  std::vector<int> spaces;
  for (int code = 0; code < 0x110000; ++code) {
    std::array<utf8proc_uint8_t, 4> bytes;
    const auto size = utf8proc_encode_char(code, bytes.data());
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                                static_cast<std::size_t>(size));
    if (size > 0 && strip(text).empty()) spaces.push_back(code);
  }
  CHECK(spaces == goldens()["python"]["spaces"].get<std::vector<int>>());
}

TEST_CASE("Python: replace") {
  CHECK(replace_all("a    b", "  ", " ") == "a  b");
  CHECK(replace_all("[title] x [title]", " [title]", ". ") == "[title] x. ");
  CHECK(replace_all("", "a", "b").empty());
}
