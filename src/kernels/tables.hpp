// The tables that the per-ISA sources export. Each source is compiled with its own flags.
#pragma once

#include "mixtral/kernels/table.hpp"

namespace mixtral::detail {

extern const KernelTable kBaselineTable;
extern const KernelTable kAvx2Table;      // x86-64 builds only
extern const KernelTable kAvx2VnniTable;  // x86-64 builds only
extern const KernelTable kAvx512Table;    // x86-64 builds only

}  // namespace mixtral::detail
