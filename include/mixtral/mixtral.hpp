// Everything that a program which embeds a model needs.
#pragma once

#include "mixtral/core/config.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/core/executor.hpp"
#include "mixtral/core/isa.hpp"
#include "mixtral/core/tensor.hpp"
#include "mixtral/core/thread_pool.hpp"
#include "mixtral/generate/logprobs.hpp"
#include "mixtral/generate/sampler.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "mixtral/layers/kv_cache.hpp"
#include "mixtral/model/mixtral.hpp"
#include "mixtral/text/chat_format.hpp"
#include "mixtral/text/streaming_decoder.hpp"
#include "mixtral/text/tokenizer.hpp"
