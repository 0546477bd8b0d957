#include "io/pickle.hpp"

#include <string>

#include "io/support/files.hpp"
#include "io/support/zip_maker.hpp"
#include "support/errors.hpp"

using namespace mixtral;
using detail::PickledTensor;
using test::append_number;
using test::require_error;

namespace {

std::vector<PickledTensor> read(const std::string& body) {
  static std::string pickle;  // which the names in the result point into
  pickle = "\x80\x02" + body;
  return detail::read_pickled_tensors(test::as_bytes(pickle), "x.pt");
}

void require_bad(const std::string& body, std::initializer_list<std::string> parts,
                 ErrorCode code = ErrorCode::format) {
  require_error(code, parts, [&] { read(body); });
}

std::string text(const std::string& value) {
  std::string code = "X";
  append_number(code, static_cast<std::uint32_t>(value.size()));
  return code + value;
}

std::string number(std::int32_t value) {
  std::string code = "J";
  append_number(code, value);
  return code;
}

/// A storage of 100 elements.
std::string storage(const std::string& n_elements = number(100)) {
  return "(" + text("storage") + "ctorch\nHalfStorage\n" + text("7") + text("cpu") + n_elements + "tQ";
}

std::string tensor(const std::string& size, const std::string& stride,
                   const std::string& offset = number(3)) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage() + offset + size + stride +
         "\x89" "ccollections\nOrderedDict\n)RtR";
}

const std::string kTensor = tensor("K\x02K\x05\x86", "K\x05K\x01\x86");

/// A dictionary with one entry.
std::string dict(const std::string& value, const std::string& key = text("w")) {
  return "}(" + key + value + "u.";
}

std::string repeat(const std::string& what, std::size_t count) {
  std::string result;
  for (std::size_t i = 0; i < count; ++i) result += what;
  return result;
}

}  // namespace

TEST_CASE("a dictionary of tensors") {
  const auto tensors = read(dict(kTensor));
  REQUIRE(tensors.size() == 1);
  const PickledTensor& t = tensors[0];
  REQUIRE(t.name == "w");
  REQUIRE(t.storage_class == "HalfStorage");
  REQUIRE(t.storage == "7");
  REQUIRE(t.storage_elements == 100);
  REQUIRE(t.first == 3);
  REQUIRE(t.shape == std::vector<std::uint64_t>{2, 5});
  REQUIRE(t.strides == std::vector<std::uint64_t>{5, 1});
  REQUIRE(read("}.").empty());
}

TEST_CASE("what torch writes around the tensors") {
  // An OrderedDict with attributes, a parameter, items one by one, and a tensor through the memo.
  const std::string body = "ccollections\nOrderedDict\nq\x01)R" + text("a") + kTensor + "q\x02s" +
                           text("b") + "ctorch._utils\n_rebuild_parameter\n(h\x02\x88h\x01)RtRs" +
                           "}" + text("_metadata") + "h\x01)Rsb.";
  const auto tensors = read(body);
  REQUIRE(tensors.size() == 2);
  REQUIRE(tensors[1].name == "b");
  REQUIRE(tensors[1].shape == tensors[0].shape);
}

TEST_CASE("whole numbers of all lengths") {
  for (const std::string& five : {std::string("K\x05"), std::string("M\x05\0", 3), number(5),
                                 std::string("\x8a\x01\x05"), std::string("\x8a\x08\x05\0\0\0\0\0\0\0", 10)}) {
    REQUIRE(read(dict(tensor(five + "\x85", five + "\x85", five)))[0].first == 5);
  }
  require_bad(dict(tensor("\x8a\x01\xff\x85", "K\x01\x85")), {"expected a size, found -1"});
  require_bad(dict(tensor("\x8a\x09" + std::string(9, 'x') + "\x85", "K\x01\x85")), {"64 bits"});
}

TEST_CASE("nothing is executed") {
  for (const char* global : {"os\nsystem", "posix\nsystem", "builtins\neval", "__builtin__\ngetattr",
                             "torch\nload", "torch._utils\n_rebuild_sparse_tensor",
                             "torch.storage\n_load_from_bytes", "collections\nOrderedDict "}) {
    require_bad("c" + std::string(global) + "\n" + text("echo") + "\x85R.",
                {"doesn't need", "nothing of it was executed"}, ErrorCode::unsupported);
  }
  for (const char opcode : std::string("\x93\x92\x81io\x82\x83\x84P\x95\x94\x8c")) {
    INFO(static_cast<int>(static_cast<unsigned char>(opcode)));
    require_error(ErrorCode::format, {"pickle byte 2"}, [&] { read(std::string(1, opcode) + "x\ny\n."); });
  }
}

TEST_CASE("pickles of other things") {
  require_bad("]." , {"expected a dictionary, found a list"});
  require_bad(dict("K\x01"), {"entry \"w\"", "expected a tensor, found a whole number"});
  require_bad(dict(kTensor, "K\x01"), {"expected a string, found a whole number"});
  require_bad(dict("}"), {"expected a tensor, found a dictionary"});
  require_bad(dict(kTensor, text(std::string(600, 'n'))), {"512", "600"});
  require_error(ErrorCode::unsupported, {"protocol 2, found 4"}, [] {
    detail::read_pickled_tensors(test::as_bytes(std::string_view("\x80\x04}.")), "x.pt");
  });
  require_error(ErrorCode::format, {"x.pt", "not a pickle"}, [] {
    detail::read_pickled_tensors(test::as_bytes(std::string_view("PK")), "x.pt");
  });
}

TEST_CASE("arguments of the wrong kind") {
  require_bad("Q.", {"the stack is empty"});
  require_bad(")Q.", {"persistent id"});
  require_bad("(" + text("module") + "NNNNtQ.", {"persistent id"});
  require_bad(dict(tensor("K\x02\x85", "K\x01K\x01\x86")), {"as many strides as dimensions"});
  require_bad(dict(tensor(repeat("K\x01", 0) + "(" + repeat("K\x01", 9) + "t",
                          "(" + repeat("K\x01", 9) + "t")), {"at most 8"});
  require_bad(dict(tensor("K\x02\x85", "K\x01\x85", number(-1))), {"expected a size, found -1"});
  require_bad(dict(tensor("(" + text("x") + "t", "K\x01\x85")), {"found a string"});
  require_bad("ctorch\nHalfStorage\n)R.", {"expected a function, found a class of storages"});
  require_bad("ccollections\nOrderedDict\nK\x01\x85R.", {"empty OrderedDict"});
  require_bad("ctorch._utils\n_rebuild_tensor_v2\n)R.", {"a tensor's storage"});
  require_bad("ctorch._utils\n_rebuild_parameter\n)R.", {"without a tensor"});
  require_bad("}(" + text("w") + "u.", {"a key without a value"});
  require_bad("}" + text("w") + "K\x01u.", {"a mark is missing"});
  require_bad("K\x01" + text("w") + "K\x01s.", {"expected a dictionary"});
  require_bad("h\x05.", {"the memo has no object 5"});
  require_bad("q\x05.", {"the stack is empty"});
  require_bad("ctorch", {"a line without an end"});
}

TEST_CASE("pickles that are cut off") {
  const std::string whole = dict(kTensor);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    require_error(ErrorCode::format, {"x.pt"}, [&] { read(whole.substr(0, size)); });
  }
  require_bad("X\xff\xff\xff\xff", {"expected 4294967295 more bytes"});
}

TEST_CASE("pickles that would take much memory or time") {
  require_bad(repeat("}", (1 << 20) + 1) + ".", {"objects"});
  require_bad("}" + repeat("(" , 1 << 20) + ".", {"objects"});
  require_bad("}" + repeat("h\x01", 1), {"memo"});
  // Nested as deep as it goes: no recursion, and an error at the end.
  require_bad(")" + repeat("\x85", 1 << 19) + ".", {"expected a dictionary, found a tuple"});
  std::string puts = "}";
  for (std::uint32_t i = 0; i <= 1u << 20; ++i) {
    puts += 'r';
    append_number(puts, i);
  }
  require_bad(puts, {"in the memo"});
  require_bad("}q\x01" + repeat("h\x01", 1 << 22) + ".", {"steps"});
  // One large tuple as the arguments of many calls.
  require_bad("(" + repeat("N", 1 << 19) + "tq\x01" + "ccollections\nOrderedDict\nq\x02" +
                  repeat("h\x02h\x01R", 1 << 10),
              {"empty OrderedDict"});
  require_bad("}(" + repeat(text("w") + "N", (1 << 17) + 1) + "u.", {"131072 tensors"});
}
