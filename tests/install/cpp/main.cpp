#include <iostream>

#include <mixtral/mixtral.hpp>

int main(int, char** argv) {
  const mixtral::Model model = mixtral::load(argv[1]);
  std::cout << model.config().n_experts << " experts\n";
}
