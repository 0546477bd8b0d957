// What the pointers of the C interface point to.
#pragma once

#include "mixtral/mixtral.hpp"

struct mixtral_model {
  mixtral::Model model;
};

struct mixtral_context {
  mixtral::Context context;
};

struct mixtral_batch {
  mixtral::Batch batch;
};
