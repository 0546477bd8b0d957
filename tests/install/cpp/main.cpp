#include <iostream>

#include <mixtral/mixtral.hpp>

int main(int, char** argv) {
  const auto model = mixtral::open_checkpoint(argv[1]);
  std::cout << model->config().n_experts << " experts\n";
}
