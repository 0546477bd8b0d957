// The kernels that this machine can run.
#pragma once

#include <string>
#include <vector>

#include "mixtral/core/isa.hpp"
#include "mixtral/kernels/table.hpp"

namespace mixtral::test {

/// The table of every instruction set that the machine has.
inline std::vector<const KernelTable*> kernel_tables() {
  std::vector<const KernelTable*> tables;
  for (const Isa isa : kAllIsas) {
    if (is_supported(isa)) tables.push_back(&kernel_table(isa));
  }
  return tables;
}

/// Names the instruction sets that kernel_tables() leaves out; empty when there are none.
inline std::string skipped_isas() {
  std::string names;
  for (const Isa isa : kAllIsas) {
    if (!is_supported(isa)) names += (names.empty() ? "" : ", ") + std::string(name_of(isa));
  }
  return names;
}

}  // namespace mixtral::test
