// Continues several texts at once; one pass over the weights serves them all: batch MODEL PROMPT...
#include <iostream>
#include <string>
#include <vector>

#include <mixtral/mixtral.hpp>

int main(int argc, char** argv) try {
  if (argc < 3) {
    std::cerr << "usage: batch MODEL PROMPT...\n";
    return 2;
  }
  const mixtral::Model model = mixtral::load(argv[1]);
  const std::vector<std::string> prompts(argv + 2, argv + argc);
  const mixtral::GenerateOptions options{.max_new_tokens = 60, .stop = {"\n"}};
  const auto completions = mixtral::generate_batch(model, prompts, options);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    std::cout << prompts[i] << completions[i].text << " [" << name_of(completions[i].finish) << "]\n";
  }
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
