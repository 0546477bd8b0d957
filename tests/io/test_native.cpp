#include <functional>
#include <map>
#include <string>
#include <vector>

#include "io/support/files.hpp"
#include "io/support/models.hpp"
#include "mixtral/core/thread_pool.hpp"
#include "mixtral/io/native_checkpoint.hpp"
#include "mixtral/io/safetensors.hpp"
#include "mixtral/io/safetensors_writer.hpp"
#include "support/errors.hpp"
#include "support/temp_dir.hpp"

using namespace mixtral;
using test::as_bytes;
using test::require_error;
namespace fs = std::filesystem;

namespace {

constexpr auto kFormat = ErrorCode::format;
constexpr auto kUnsupported = ErrorCode::unsupported;

struct Tensor {
  std::string name, dtype;
  std::vector<std::size_t> shape;
  std::string bytes;
};

/// A native file in pieces that a test may spoil.
struct Pieces {
  std::vector<Tensor> tensors;
  std::map<std::string, std::string> metadata;
  SafetensorsAlignment alignment{4096, 0};

  /// Of a small model in q8_0.
  Pieces() {
    const test::TempDir dir;
    test::write_model(dir / "model", test::small_config(64, 96));
    test::pack(dir / "model", dir / "packed", "q8_0");
    const SafetensorsFile file(dir / "packed");
    metadata = file.header().metadata;
    for (const SafetensorsEntry& entry : file.header().tensors) {
      const auto data = file.data(entry);
      tensors.push_back({entry.name, std::string(entry.dtype), entry.shape,
                         {reinterpret_cast<const char*>(data.data()), data.size()}});
      if (entry.name.starts_with("file/")) ++alignment.first;
    }
  }

  std::size_t position(const std::string& name) const {
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].name == name) return i;
    }
    throw std::logic_error("no tensor " + name);
  }
  Tensor& operator[](const std::string& name) { return tensors[position(name)]; }
  void erase(const std::string& name) {
    tensors.erase(tensors.begin() + static_cast<std::ptrdiff_t>(position(name)));
  }
  void insert_before(const std::string& name, Tensor tensor) {
    tensors.insert(tensors.begin() + static_cast<std::ptrdiff_t>(position(name)), std::move(tensor));
  }

  std::string file() const {
    const test::TempDir dir;
    std::vector<SafetensorsDeclaration> declarations;
    for (const Tensor& tensor : tensors) {
      declarations.push_back({tensor.name, tensor.dtype, tensor.shape});
    }
    SafetensorsWriter writer(dir / "file", declarations, metadata, alignment);
    for (const Tensor& tensor : tensors) writer.append(as_bytes(tensor.bytes));
    writer.commit();
    return test::read_file(dir / "file");
  }
};

/// Requires that parsing fails once `spoil` has changed the pieces.
void fails(ErrorCode code, std::initializer_list<std::string> parts,
           const std::function<void(Pieces&)>& spoil) {
  Pieces pieces;
  spoil(pieces);
  const std::string file = pieces.file();
  require_error(code, parts, [&] { parse_native(as_bytes(file), "x.mixtral"); });
}

/// Flips a bit of the byte at `offset`.
void flip(const fs::path& path, std::size_t offset) {
  std::string bytes = test::read_file(path);
  bytes.at(offset) = static_cast<char>(bytes[offset] ^ 4);
  test::write_file(path, bytes);
}

}  // namespace

TEST_CASE("the pieces of a native file put together again are a native file") {
  const std::string file = Pieces().file();
  const NativeIndex index = parse_native(as_bytes(file), "x");
  REQUIRE(index.config == test::small_config(64, 96));
  REQUIRE(index.recipe == R"({"name":"q8_0","default":"q8_0","rules":[]})");
  REQUIRE(index.weights.size() == 3 + 2 * (7 + 9));
  REQUIRE(index.files.contains("config.json"));
  const std::byte* end = as_bytes(file).data();
  for (const NativePart& part : index.parts) {
    REQUIRE(part.bytes.data() == end);
    end += part.bytes.size();
  }
  REQUIRE(end + 8 == as_bytes(file).data() + file.size());
}

TEST_CASE("an expert's matrices lie next to each other") {
  const Pieces pieces;
  const std::size_t first = pieces.position("layers.1.expert_gate.2");
  REQUIRE(pieces.position("layers.1.expert_up.2") == first + 1);
  REQUIRE(pieces.position("layers.1.expert_down.2") == first + 2);
  REQUIRE(pieces.position("embedding") < pieces.position("layers.0.attention_norm"));
  REQUIRE(pieces.position("final_norm") + 1 == pieces.position("lm_head"));
}

TEST_CASE("what is no native file is named") {
  const auto foreign = [](const std::string& bytes, const std::string& kind) {
    require_error(kUnsupported, {"\"x\"", "native file", kind},
                  [&] { parse_native(as_bytes(bytes), "x"); });
  };
  foreign("GGUF\3\0\0\0\0\0\0\0", "GGUF");
  foreign("PK\3\4........", "PyTorch");
  foreign("{\"model_type\": 1}", "JSON");
  foreign("", "another kind");
  foreign("# A text", "another kind");
  foreign(test::safetensors_file("{}", 0), "another program");
  foreign(test::read_file(fs::path(MIXTRAL_IO_DATA_DIR) / "per_expert/model.safetensors"),
          "mixtral convert");
}

TEST_CASE("a newer native file is refused as such") {
  for (const char* version : {"2", "10", "", "1.0", "one"}) {
    fails(kUnsupported, {"version 1", "\"" + std::string(version) + "\"", "newer"},
          [&](Pieces& pieces) { pieces.metadata["format_version"] = version; });
  }
  fails(kFormat, {"format_version"}, [](Pieces& pieces) { pieces.metadata.erase("format_version"); });
  fails(kUnsupported, {"another program"}, [](Pieces& pieces) { pieces.metadata["format"] = "Mixtral"; });
}

TEST_CASE("a native file that was cut off is an error, wherever that was") {
  const std::string file = Pieces().file();
  for (const std::size_t size :
       {file.size() - 1, file.size() - 4096, file.size() / 2, std::size_t{4096}, std::size_t{9}}) {
    require_error(kFormat, {"\"x\""}, [&] { parse_native(as_bytes(file.substr(0, size)), "x"); });
  }
  require_error(kFormat, {"\"x\""}, [&] { parse_native(as_bytes(file + "x"), "x"); });
}

TEST_CASE("missing, extra, misplaced and misshapen tensors are named") {
  fails(kFormat, {"expected tensor \"layers.1.router\"", "found \"layers.1.expert_gate.0\""},
        [](Pieces& pieces) { pieces.erase("layers.1.router"); });
  fails(kFormat, {"expected tensor \"checksums\" after \"lm_head\"", "found none"},
        [](Pieces& pieces) { pieces.erase("checksums"); });
  fails(kFormat, {"expected tensor \"embedding\"", "found \"extra\""}, [](Pieces& pieces) {
    pieces.insert_before("embedding", {"extra", "U8", {4096}, std::string(4096, 'x')});
  });
  fails(kFormat, {"\"zzz\"", "no place"},
        [](Pieces& pieces) { pieces.tensors.push_back({"zzz", "U8", {1}, "x"}); });
  fails(kFormat, {"expected tensor \"layers.0.attention_query\"", "found \"layers.0.attention_key\""},
        [](Pieces& pieces) {
          std::swap(pieces["layers.0.attention_query"], pieces["layers.0.attention_key"]);
        });
  fails(kFormat, {"\"lm_head\"", "expected U8 [8192]", "found U8 [4096]"}, [](Pieces& pieces) {
    pieces["lm_head"].shape = {4096};
    pieces["lm_head"].bytes.resize(4096);
  });
  fails(kFormat, {"\"lm_head\"", "found U8 [2, 4096]"},
        [](Pieces& pieces) { pieces["lm_head"].shape = {2, 4096}; });
  fails(kFormat, {"\"lm_head\"", "found I8 [8192]"},
        [](Pieces& pieces) { pieces["lm_head"].dtype = "I8"; });
  fails(kFormat, {"\"checksums\"", "expected U64 ["}, [](Pieces& pieces) {
    pieces["checksums"].shape[0] -= 1;
    pieces["checksums"].bytes.resize(pieces["checksums"].bytes.size() - 8);
  });
  fails(kFormat, {"\"embedding\"", "multiple of 4096"},
        [](Pieces& pieces) { pieces.alignment.first = 0; });
  fails(kFormat, {"\"embedding\"", "multiple of 4096"},
        [](Pieces& pieces) { pieces.alignment.bytes = 64; });
}

TEST_CASE("what the metadata say about a weight must be so") {
  const std::string name = "layers.0.expert_up.1";
  const auto stated = [&](ErrorCode code, const std::string& text, const std::string& message) {
    fails(code, {"\"" + name + "\"", message},
          [&](Pieces& pieces) { pieces.metadata[name] = text; });
  };
  REQUIRE(Pieces().metadata[name] == "q8_0 96x64 tiled");
  stated(kUnsupported, "q9_k 96x64 tiled", "\"q9_k\"");
  stated(kUnsupported, "", "type \"\"");
  stated(kFormat, "q4_k 96x64 tiled", "64 columns");
  stated(kFormat, "q8_0 96x64 row_major", "expected \"q8_0 96x64 tiled\"");
  stated(kFormat, "q8_0 64x96 tiled", "found \"q8_0 64x96 tiled\"");
  stated(kFormat, "q8_0", "expected \"q8_0 96x64 tiled\"");
  stated(kFormat, "q4_0 96x64 tiled", "expected U8 [");
  fails(kFormat, {"\"layers.0.router\"", "expected f32", "\"q8_0\""},
        [](Pieces& pieces) { pieces.metadata["layers.0.router"] = "q8_0 3x64 tiled"; });
  fails(kFormat, {"lack", "\"" + name + "\""}, [&](Pieces& pieces) { pieces.metadata.erase(name); });
  fails(kFormat, {"lack", "\"recipe\""}, [&](Pieces& pieces) { pieces.metadata.erase("recipe"); });
}

TEST_CASE("the files inside a native file are checked") {
  fails(kFormat, {"file/config.json"}, [](Pieces& pieces) { pieces.erase("file/config.json"); });
  fails(kFormat, {"x.mixtral: config.json", "JSON"}, [](Pieces& pieces) {
    pieces["file/config.json"].bytes[0] = '!';
  });
  fails(kFormat, {"x.mixtral: generation_config.json"}, [](Pieces& pieces) {
    pieces["file/generation_config.json"].bytes[0] = '!';
  });
  fails(kFormat, {"file/../config.json", "no model"}, [](Pieces& pieces) {
    pieces.insert_before("embedding", {"file/../config.json", "U8", {1}, "x"});
    ++pieces.alignment.first;
  });
  fails(kFormat, {"file/tokenizer.model", "expected at most 67108864"}, [](Pieces& pieces) {
    const std::size_t size = (std::size_t{1} << 26) + 1;
    pieces.insert_before("embedding", {"file/tokenizer.model", "U8", {size}, std::string(size, 'x')});
    ++pieces.alignment.first;
  });
  fails(kFormat, {"file/config.json", "expected U8"}, [](Pieces& pieces) {
    pieces["file/config.json"].dtype = "I8";
  });
  // A configuration of another shape than the weights.
  fails(kFormat, {"layers.0.expert_gate.0", "96x64"}, [](Pieces& pieces) {
    std::string& config = pieces["file/config.json"].bytes;
    config = test::replace(config, "\"intermediate_size\": 96", "\"intermediate_size\": 32");
  });
  fails(kFormat, {"layers.2.attention_norm"}, [](Pieces& pieces) {
    std::string& config = pieces["file/config.json"].bytes;
    config = test::replace(config, "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 9");
  });
}

TEST_CASE("verifying names every part that was damaged, and no other") {
  const test::TempDir dir;
  test::write_model(dir / "model", test::small_config(64, 96));
  test::pack(dir / "model", dir / "packed", "q8_0");
  const std::string intact = test::read_file(dir / "packed");
  ThreadPool pool(2);
  const auto verify = [&] { return verify_checkpoint(NativeCheckpoint(dir / "packed"), {}, pool); };
  REQUIRE(verify().empty());

  const NativeIndex index = parse_native(as_bytes(intact), "x");
  for (const NativePart& part : index.parts) {
    const auto begin =
        static_cast<std::size_t>(reinterpret_cast<const char*>(part.bytes.data()) - intact.data());
    for (const std::size_t offset : {begin + 30, begin + part.bytes.size() - 1}) {
      INFO(part.name << ", byte " << offset);
      test::write_file(dir / "packed", intact);
      flip(dir / "packed", offset);
      const bool is_read = part.name == "header" || part.name.starts_with("file/");
      if (is_read) {  // may be caught on opening already
        try {
          const std::vector<std::string> damaged = verify();
          REQUIRE(damaged == std::vector{part.name});
        } catch (const Error& error) {
          REQUIRE(error.code() != ErrorCode::io);
        }
      } else if (part.name == "checksums") {
        require_error(kFormat, {"packed", "\"checksums\" is damaged"}, verify);
      } else {
        REQUIRE(verify() == std::vector{part.name});
      }
    }
  }
  test::write_file(dir / "packed", intact);
  flip(dir / "packed", intact.size() - 1);  // the checksum of the checksums
  require_error(kFormat, {"\"checksums\" is damaged"}, verify);
}

TEST_CASE("damage to the header that leaves it a header is noticed on opening") {
  const test::TempDir dir;
  test::write_model(dir / "model", test::small_config(64, 96));
  test::pack(dir / "model", dir / "packed", "q8_0");
  const std::string bytes = test::read_file(dir / "packed");
  flip(dir / "packed", bytes.find("\\\"rules\\\"") + 3);
  REQUIRE_NOTHROW(parse_native(as_bytes(test::read_file(dir / "packed")), "x"));
  require_error(kFormat, {"packed", "\"header\" is damaged"}, [&] { NativeCheckpoint(dir / "packed"); });
}

TEST_CASE("verifying reports its progress, can be stopped, and notices a file that shrinks") {
  const test::TempDir dir;
  test::write_model(dir / "model", test::small_config(64, 96));
  test::pack(dir / "model", dir / "packed", "q8_0");
  SerialExecutor serial;
  const NativeCheckpoint checkpoint(dir / "packed");
  std::size_t last = 0, total = 0, steps = 0;
  const auto damaged = verify_checkpoint(
      checkpoint,
      [&](const VerifyProgress& progress) {
        REQUIRE(progress.done > last);
        last = progress.done;
        total = progress.total;
        ++steps;
        return true;
      },
      serial);
  REQUIRE(damaged.empty());
  REQUIRE(last == total);
  REQUIRE(steps > 3);
  require_error(ErrorCode::cancelled, {"cancelled"}, [&] {
    verify_checkpoint(checkpoint, [&](const VerifyProgress&) { return --steps != 1; }, serial);
  });
  fs::resize_file(dir / "packed", checkpoint.file_bytes() - 1);
  require_error(ErrorCode::io, {"packed", "changed"}, [&] { verify_checkpoint(checkpoint, {}, serial); });
  require_error(ErrorCode::io, {"packed", "changed"}, [&] { checkpoint.check_unchanged(); });
}

TEST_CASE("a native file is told from others by its content") {
  const test::TempDir dir;
  test::write_model(dir / "model", test::small_config(64, 96));
  test::pack(dir / "model", dir / "any.name", "q8_0");
  REQUIRE(is_native_file(dir / "any.name"));
  REQUIRE_FALSE(is_native_file(dir / "model/model.safetensors"));
  REQUIRE_FALSE(is_native_file(dir / "model"));
  REQUIRE_FALSE(is_native_file(dir / "absent"));
  test::write_file(dir / "text", "text");
  REQUIRE_FALSE(is_native_file(dir / "text"));
}

TEST_CASE("a key outside a native model is an error, and loading can be stopped") {
  const test::TempDir dir;
  test::write_model(dir / "model", test::small_config(64, 96));
  test::pack(dir / "model", dir / "packed", "q8_0");
  const auto checkpoint = open_checkpoint(dir / "packed");
  require_error(ErrorCode::invalid_argument, {"layer 2"},
                [&] { checkpoint->tensor({TensorRole::query, 2}); });
  require_error(ErrorCode::invalid_argument, {"expert 3"},
                [&] { checkpoint->tensor({TensorRole::expert_up, 0, 3}); });
  std::vector<std::size_t> steps;
  open_checkpoint(dir / "packed", [&](const LoadProgress& progress) {
    REQUIRE(progress.total == 1);
    steps.push_back(progress.done);
    return true;
  });
  REQUIRE(steps == std::vector<std::size_t>{0, 1});
  const std::size_t descriptors = test::count_descriptors();
  require_error(ErrorCode::cancelled, {"packed"}, [&] {
    open_checkpoint(dir / "packed", [](const LoadProgress& progress) { return progress.done == 0; });
  });
  REQUIRE(test::count_descriptors() == descriptors);
}
