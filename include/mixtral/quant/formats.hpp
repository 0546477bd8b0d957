// All quantised formats: from a type known at run time to the format's struct.
#pragma once

#include "mixtral/quant/iq4_nl.hpp"
#include "mixtral/quant/iq4_xs.hpp"
#include "mixtral/quant/mxfp4.hpp"
#include "mixtral/quant/nvfp4.hpp"
#include "mixtral/quant/q2_k.hpp"
#include "mixtral/quant/q3_k.hpp"
#include "mixtral/quant/q4_0.hpp"
#include "mixtral/quant/q4_1.hpp"
#include "mixtral/quant/q4_k.hpp"
#include "mixtral/quant/q5_0.hpp"
#include "mixtral/quant/q5_1.hpp"
#include "mixtral/quant/q5_k.hpp"
#include "mixtral/quant/q6_k.hpp"
#include "mixtral/quant/q8_0.hpp"
#include "mixtral/quant/tq1_0.hpp"
#include "mixtral/quant/tq2_0.hpp"

namespace mixtral::quant {

template <class... Formats>
struct FormatList {
  /// Calls f.operator()<Format>() for the format of `dtype`; returns whether the list has it.
  template <class F>
  static bool visit(DType dtype, F f) {
    const auto try_one = [&]<class Format>() {
      if (Format::kDType != dtype) return false;
      f.template operator()<Format>();
      return true;
    };
    return (try_one.template operator()<Formats>() || ...);
  }
};

using AllFormats =
    FormatList<Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS,
               MXFP4, NVFP4, TQ1_0, TQ2_0>;

}  // namespace mixtral::quant
