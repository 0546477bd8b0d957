// Continues a text, piece by piece: generate MODEL [PROMPT]
#include <iostream>

#include <mixtral/mixtral.hpp>

int main(int argc, char** argv) try {
  const mixtral::Model model = mixtral::load(argc > 1 ? argv[1] : ".");
  const char* prompt = argc > 2 ? argv[2] : "Once upon a time";
  for (std::string_view piece : model.generate(prompt, {.max_new_tokens = 100})) {
    std::cout << piece << std::flush;
  }
  std::cout << '\n';
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
