#include <iostream>

#include <mixtral/mixtral.hpp>

int main(int, char** argv) {
  for (auto kind : {mixtral::GemmKind::onednn, mixtral::GemmKind::openblas, mixtral::GemmKind::eigen}) {
    if (mixtral::is_available(kind)) return 1;
  }
  const mixtral::Model model = mixtral::load(argv[1]);
  const auto completion = model.generate("Once upon a time", {.max_new_tokens = 8}).run();
  std::cout << completion.ids.size() << " tokens\n";
}
