#include "io/pickle.hpp"

#include <array>
#include <cstring>
#include <limits>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::detail {
namespace {

/// The machine's steps and objects; the published models need some 50000.
constexpr std::size_t kMaxSteps = std::size_t{1} << 22;
constexpr std::size_t kMaxObjects = std::size_t{1} << 20;
constexpr std::size_t kMaxTensors = std::size_t{1} << 17;
constexpr std::size_t kMaxNameBytes = 512;

enum Opcode : std::uint8_t {
  kMark = '(',
  kStop = '.',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kLong1 = 0x8a,
  kBinFloat = 'G',
  kNone = 'N',
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kBinUnicode = 'X',
  kShortBinString = 'U',
  kEmptyDict = '}',
  kEmptyList = ']',
  kEmptyTuple = ')',
  kTuple = 't',
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kAppend = 'a',
  kAppends = 'e',
  kSetItem = 's',
  kSetItems = 'u',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kGlobal = 'c',
  kReduce = 'R',
  kNewObject = 0x81,
  kBuild = 'b',
  kBinPersId = 'Q',
  kProtocol = 0x80,
};

using Index = std::uint32_t;  // of an object

struct Nothing {};  // None, and what doesn't matter: floats
struct Mark {};
struct Tuple {
  std::vector<Index> items;
};
struct List {};  // its items don't matter
struct Dict {
  std::vector<std::pair<Index, Index>> items = {};
};
enum class Function { ordered_dict, rebuild_tensor, rebuild_parameter };
struct StorageClass {
  std::string_view name;
};
struct Storage {
  std::string_view name, key;
  std::uint64_t n_elements;
};
struct Tensor {
  Index storage;
  std::uint64_t first;
  Index shape, strides;  // tuples
};

using Object = std::variant<Nothing, Mark, bool, std::int64_t, std::string_view, Tuple, List, Dict,
                            Function, StorageClass, Storage, Tensor>;

constexpr std::array<std::string_view, 12> kNames = {
    "None or a float", "a mark", "a boolean", "a whole number", "a string", "a tuple", "a list",
    "a dictionary", "a function", "a class of storages", "a storage", "a tensor"};

struct Global {
  std::string_view module, name;
  Object object;
};

/// All that a pickle may refer to.
const Object* find_global(std::string_view module, std::string_view name) {
  static const std::array<Global, 13> globals = {{
      {"collections", "OrderedDict", Function::ordered_dict},
      {"torch._utils", "_rebuild_tensor_v2", Function::rebuild_tensor},
      {"torch._utils", "_rebuild_parameter", Function::rebuild_parameter},
      {"torch", "BFloat16Storage", StorageClass{"BFloat16Storage"}},
      {"torch", "HalfStorage", StorageClass{"HalfStorage"}},
      {"torch", "FloatStorage", StorageClass{"FloatStorage"}},
      {"torch", "DoubleStorage", StorageClass{"DoubleStorage"}},
      {"torch", "LongStorage", StorageClass{"LongStorage"}},
      {"torch", "IntStorage", StorageClass{"IntStorage"}},
      {"torch", "ShortStorage", StorageClass{"ShortStorage"}},
      {"torch", "CharStorage", StorageClass{"CharStorage"}},
      {"torch", "ByteStorage", StorageClass{"ByteStorage"}},
      {"torch", "BoolStorage", StorageClass{"BoolStorage"}},
  }};
  for (const Global& global : globals) {
    if (global.module == module && global.name == name) return &global.object;
  }
  return nullptr;
}

class PickleReader {
 public:
  PickleReader(std::span<const std::byte> pickle, std::string_view file)
      : text_(reinterpret_cast<const char*>(pickle.data()), pickle.size()), file_(file) {
    if (pickle.size() > kMaxPickleBytes) {
      fail("expected at most " + std::to_string(kMaxPickleBytes) + " bytes, found " +
           std::to_string(pickle.size()));
    }
  }

  std::vector<PickledTensor> read() {
    if (take() != kProtocol) fail("not a pickle of protocol 2: its first byte is another");
    if (const auto protocol = take(); protocol != 2) {
      fail("expected a pickle of protocol 2, found " + std::to_string(protocol),
           ErrorCode::unsupported);
    }
    std::size_t n_steps = 0;
    while (!stopped_) {
      if (++n_steps > kMaxSteps) fail("more than " + std::to_string(kMaxSteps) + " steps");
      at_ = next_;
      step(take());
    }
    return tensors_of(pop<Dict>());
  }

 private:
  void step(std::uint8_t opcode) {
    switch (opcode) {
      case kMark: return push(Mark{});
      case kStop: stopped_ = true; return;
      case kBinInt: return push(std::int64_t{number<std::int32_t>()});
      case kBinInt1: return push(std::int64_t{number<std::uint8_t>()});
      case kBinInt2: return push(std::int64_t{number<std::uint16_t>()});
      case kLong1: return push(long_number(take()));
      case kBinFloat: take(sizeof(double)); return push(Nothing{});
      case kNone: return push(Nothing{});
      case kNewTrue: return push(true);
      case kNewFalse: return push(false);
      case kBinUnicode: return push(take(number<std::uint32_t>()));
      case kShortBinString: return push(take(take()));
      case kEmptyDict: return push(Dict{});
      case kEmptyList: return push(List{});
      case kEmptyTuple: return push(Tuple{});
      case kTuple: return push(Tuple{pop_to_mark()});
      case kTuple1: return push(Tuple{pop_last(1)});
      case kTuple2: return push(Tuple{pop_last(2)});
      case kTuple3: return push(Tuple{pop_last(3)});
      case kAppend: pop_last(1); top<List>(); return;
      case kAppends: pop_to_mark(); top<List>(); return;
      case kSetItem: return set_items(pop_last(2));
      case kSetItems: return set_items(pop_to_mark());
      case kBinPut: return put(take());
      case kLongBinPut: return put(number<std::uint32_t>());
      case kBinGet: return get(take());
      case kLongBinGet: return get(number<std::uint32_t>());
      case kGlobal: return push_global();
      case kReduce:
      case kNewObject: return call();
      case kBuild: pop_last(1); top<Dict>(); return;  // attributes of the dictionary don't matter
      case kBinPersId: return push_storage();
      default: fail("opcode " + std::to_string(opcode) + " has no place in a dictionary of tensors");
    }
  }

  // The bytes.

  std::string_view take(std::size_t count) {
    if (count > text_.size() - next_) {
      fail("expected " + std::to_string(count) + " more bytes, found " +
           std::to_string(text_.size() - next_));
    }
    return text_.substr(std::exchange(next_, next_ + count), count);
  }
  std::uint8_t take() { return number<std::uint8_t>(); }

  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }

  std::int64_t long_number(std::size_t n_bytes) {
    if (n_bytes > sizeof(std::int64_t)) fail("a whole number of more than 64 bits");
    const std::string_view bytes = take(n_bytes);
    const bool is_negative = !bytes.empty() && (bytes.back() & 0x80) != 0;
    std::int64_t value = is_negative ? -1 : 0;
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }

  std::string_view line() {
    const std::size_t end = text_.find('\n', next_);
    if (end == text_.npos) fail("a line without an end");
    const std::string_view text = text_.substr(next_, end - next_);
    next_ = end + 1;
    return text;
  }

  // The stack and the memo.

  void push(Object object) {
    if (objects_.size() == kMaxObjects) {
      fail("more than " + std::to_string(kMaxObjects) + " objects");
    }
    stack_.push_back(static_cast<Index>(objects_.size()));
    objects_.push_back(std::move(object));
  }

  Index pop() {
    if (stack_.empty()) fail("the stack is empty");
    const Index index = stack_.back();
    stack_.pop_back();
    return index;
  }

  template <class T>
  T& pop() {
    return as<T>(pop());
  }

  template <class T>
  T& top() {
    if (stack_.empty()) fail("the stack is empty");
    return as<T>(stack_.back());
  }

  std::vector<Index> pop_last(std::size_t count) {
    if (stack_.size() < count) fail("the stack has fewer than " + std::to_string(count) + " objects");
    const auto first = stack_.end() - static_cast<std::ptrdiff_t>(count);
    std::vector<Index> items(first, stack_.end());
    stack_.erase(first, stack_.end());
    return items;
  }

  std::vector<Index> pop_to_mark() {
    std::size_t count = 0;
    while (count < stack_.size() &&
           !std::holds_alternative<Mark>(objects_[stack_[stack_.size() - 1 - count]])) {
      ++count;
    }
    if (count == stack_.size()) fail("a mark is missing");
    std::vector<Index> items = pop_last(count);
    stack_.pop_back();  // the mark
    return items;
  }

  void put(std::uint32_t place) {
    if (stack_.empty()) fail("the stack is empty");
    memo_[place] = stack_.back();
    if (memo_.size() > kMaxObjects) fail("more than " + std::to_string(kMaxObjects) + " in the memo");
  }

  void get(std::uint32_t place) {
    const auto found = memo_.find(place);
    if (found == memo_.end()) fail("the memo has no object " + std::to_string(place));
    stack_.push_back(found->second);
  }

  template <class T>
  T& as(Index index) {
    T* object = std::get_if<T>(&objects_[index]);
    if (object == nullptr) {
      fail("expected " + std::string(kNames[Object(T{}).index()]) + ", found " +
           std::string(kNames[objects_[index].index()]));
    }
    return *object;
  }

  /// A size or count.
  std::uint64_t as_size(Index index) {
    const std::int64_t value = as<std::int64_t>(index);
    if (value < 0) fail("expected a size, found " + std::to_string(value));
    return static_cast<std::uint64_t>(value);
  }

  // What a dictionary of tensors is made of.

  void set_items(const std::vector<Index>& items) {
    if (items.size() % 2 != 0) fail("a key without a value");
    Dict& dict = top<Dict>();
    for (std::size_t i = 0; i < items.size(); i += 2) dict.items.emplace_back(items[i], items[i + 1]);
  }

  void push_global() {
    const std::string_view module = line(), name = line();
    const Object* object = find_global(module, name);
    if (object == nullptr) {
      fail("a dictionary of tensors doesn't need " + quote(std::string(module) + "." + std::string(name)) +
               ", and this file asks for it; nothing of it was executed",
           ErrorCode::unsupported);
    }
    push(*object);
  }

  void call() {
    const std::vector<Index>& arguments = pop<Tuple>().items;  // until the next push
    switch (pop<Function>()) {
      case Function::ordered_dict:
        if (!arguments.empty()) fail("expected an empty OrderedDict, found arguments");
        return push(Dict{});
      case Function::rebuild_tensor:
        return push_tensor(arguments);
      case Function::rebuild_parameter:
        if (arguments.empty()) fail("a parameter without a tensor");
        return push(as<Tensor>(arguments[0]));
    }
  }

  void push_storage() {
    const std::vector<Index>& id = pop<Tuple>().items;  // until the next push
    if (id.size() != 5 || as<std::string_view>(id[0]) != "storage") {
      fail("expected a persistent id of ('storage', class, key, location, number of elements)");
    }
    push(Storage{as<StorageClass>(id[1]).name, as<std::string_view>(id[2]), as_size(id[4])});
  }

  void push_tensor(const std::vector<Index>& arguments) {
    if (arguments.size() < 4) fail("expected a tensor's storage, offset, size and stride");
    as<Storage>(arguments[0]);
    const std::size_t rank = as<Tuple>(arguments[2]).items.size();
    if (rank > kMaxPickledRank || as<Tuple>(arguments[3]).items.size() != rank) {
      fail("expected as many strides as dimensions, at most " + std::to_string(kMaxPickledRank) +
           ", found " + std::to_string(as<Tuple>(arguments[3]).items.size()) + " and " +
           std::to_string(rank));
    }
    push(Tensor{arguments[0], as_size(arguments[1]), arguments[2], arguments[3]});
  }

  std::vector<PickledTensor> tensors_of(const Dict& dict) {
    if (dict.items.size() > kMaxTensors) {
      fail("expected at most " + std::to_string(kMaxTensors) + " tensors, found " +
           std::to_string(dict.items.size()));
    }
    std::vector<PickledTensor> tensors;
    for (const auto& [key, value] : dict.items) {
      const std::string_view name = as<std::string_view>(key);
      if (name.size() > kMaxNameBytes) {
        fail("expected names of at most " + std::to_string(kMaxNameBytes) + " bytes, found " +
             std::to_string(name.size()));
      }
      if (!std::holds_alternative<Tensor>(objects_[value])) {
        fail("entry " + quote(name) + ": expected a tensor, found " +
             std::string(kNames[objects_[value].index()]));
      }
      const Tensor& tensor = std::get<Tensor>(objects_[value]);
      const Storage& storage = as<Storage>(tensor.storage);
      tensors.push_back({name, storage.name, storage.key, storage.n_elements, tensor.first,
                         sizes_of(tensor.shape), sizes_of(tensor.strides)});
    }
    return tensors;
  }

  std::vector<std::uint64_t> sizes_of(Index tuple) {
    std::vector<std::uint64_t> sizes;
    for (const Index item : as<Tuple>(tuple).items) sizes.push_back(as_size(item));
    return sizes;
  }

  [[noreturn]] void fail(const std::string& message, ErrorCode code = ErrorCode::format) const {
    throw Error(code, quote(file_) + ": pickle byte " + std::to_string(at_) + ": " + message);
  }

  std::string_view text_, file_;
  std::size_t at_ = 0;    // of the instruction
  std::size_t next_ = 0;  // byte to be read
  bool stopped_ = false;
  std::vector<Object> objects_;
  std::vector<Index> stack_;
  std::unordered_map<std::uint32_t, Index> memo_;
};

}  // namespace

std::vector<PickledTensor> read_pickled_tensors(std::span<const std::byte> pickle,
                                                std::string_view file) {
  return PickleReader(pickle, file).read();
}

}  // namespace mixtral::detail
