#include "core/model/safetensors_header.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"

namespace basin::internal {
namespace {

using Entries = std::map<std::string, SafetensorsFile::Entry>;

struct TypeSize {
  std::string_view name;
  int bytes;
};
constexpr TypeSize kTypes[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},   {"U16", 2},
                               {"I16", 2},  {"F16", 2}, {"BF16", 2}, {"U32", 4},
                               {"I32", 4},  {"F32", 4}, {"U64", 8},  {"I64", 8},
                               {"F64", 8}};

// Takes a header event by event, so that no more is kept than the entries:
//   { "name": { "dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24] },
//     "__metadata__": { "key": "value" } }
// Every method returns false, with an error kept, at the first thing that does
// not belong there.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(const SafetensorsLimits& limits) : limits_(limits) {}

  absl::StatusOr<Entries> Take() && {
    BASIN_RETURN_IF_ERROR(status_);
    return std::move(entries_);
  }

  bool null() override { return Unexpected("null"); }
  bool boolean(bool /*value*/) override { return Unexpected("a truth value"); }
  bool number_integer(int64_t value) override {
    return Unexpected(absl::StrCat(value));
  }
  bool number_float(double /*value*/, const std::string& text) override {
    return Unexpected(text);
  }
  bool binary(binary_t& /*value*/) override { return Unexpected("binary"); }

  bool number_unsigned(uint64_t value) override {
    if (place_ == Place::kShape) {
      shape_.push_back(value);
      return shape_.size() <= Shape::kMaxRank ||
             Fail("shape: expected at most ",
                  absl::StrCat(Shape::kMaxRank, " dimensions"));
    }
    if (place_ == Place::kOffsets) {
      offsets_.push_back(value);
      return offsets_.size() <= 2 || Fail("data_offsets: expected two", "");
    }
    return Unexpected(absl::StrCat(value));
  }

  bool string(std::string& value) override {
    if (place_ == Place::kMetadata) return true;
    if (place_ != Place::kTensor || field_ != "dtype") {
      return Unexpected("a string");
    }
    entry_.dtype = value;
    return SafetensorsElementBytes(value) != 0 ||
           Fail("dtype: unknown type ", absl::CHexEscape(value.substr(0, 16)));
  }

  bool start_object(size_t /*elements*/) override {
    if (place_ == Place::kNothing) {
      place_ = Place::kTop;
      return true;
    }
    if (place_ != Place::kTop) return Unexpected("an object");
    place_ = tensor_ == "__metadata__" ? Place::kMetadata : Place::kTensor;
    entry_ = {};
    fields_seen_.clear();
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kTensor && !FinishTensor()) return false;
    place_ = place_ == Place::kTop ? Place::kEnd : Place::kTop;
    return true;
  }

  bool start_array(size_t /*elements*/) override {
    if (place_ != Place::kTensor) return Unexpected("a list");
    if (field_ == "shape") {
      place_ = Place::kShape;
      shape_.clear();
      return true;
    }
    if (field_ == "data_offsets") {
      place_ = Place::kOffsets;
      offsets_.clear();
      return true;
    }
    return Unexpected("a list");
  }

  bool end_array() override {
    place_ = Place::kTensor;
    return true;
  }

  bool key(std::string& value) override {
    if (place_ == Place::kTop) return StartEntry(value);
    if (place_ == Place::kMetadata) return true;
    field_ = value;
    if (field_ != "dtype" && field_ != "shape" && field_ != "data_offsets") {
      return Fail("expected dtype, shape and data_offsets, got ",
                  absl::CHexEscape(field_.substr(0, 32)));
    }
    if (std::count(fields_seen_.begin(), fields_seen_.end(), field_) > 0) {
      return Fail(field_, ": comes twice");
    }
    fields_seen_.push_back(field_);
    return true;
  }

  bool parse_error(size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return Fail("the header is no JSON at byte ", absl::StrCat(position));
  }

 private:
  enum class Place {
    kNothing,
    kTop,
    kTensor,
    kShape,
    kOffsets,
    kMetadata,
    kEnd
  };

  bool Fail(const std::string& what, const std::string& got) {
    const std::string where =
        place_ == Place::kNothing || place_ == Place::kTop
            ? ""
            : absl::StrCat("tensor '", absl::CHexEscape(tensor_.substr(0, 64)),
                           "': ");
    if (status_.ok()) {
      status_ = absl::InvalidArgumentError(absl::StrCat(where, what, got));
    }
    return false;
  }

  bool Unexpected(const std::string& got) {
    return Fail("the header has an unexpected ", got);
  }

  bool StartEntry(const std::string& name) {
    tensor_ = name;
    if (static_cast<int64_t>(name.size()) > limits_.max_name_bytes) {
      return Fail("a tensor's name is longer than the limit of ",
                  absl::StrCat(limits_.max_name_bytes, " bytes"));
    }
    if (static_cast<int64_t>(entries_.size()) >= limits_.max_tensors) {
      return Fail("more tensors than the limit of ",
                  absl::StrCat(limits_.max_tensors));
    }
    const bool twice = name == "__metadata__" ? std::exchange(metadata_, true)
                                              : entries_.contains(name);
    return !twice ||
           Fail("a name comes twice: ", absl::CHexEscape(name.substr(0, 64)));
  }

  bool FinishTensor() {
    if (fields_seen_.size() != 3) {
      return Fail("expected dtype, shape and data_offsets", "");
    }
    if (offsets_.size() != 2) return Fail("data_offsets: expected two", "");
    const std::vector<int64_t> dims(shape_.begin(), shape_.end());
    auto shape = Shape::Create(dims);  // 2^63 and more became negative
    if (!shape.ok()) {
      return Fail("shape: ", std::string(shape.status().message()));
    }
    entry_.shape = *std::move(shape);
    entry_.begin = offsets_[0];
    entry_.end = offsets_[1];
    entries_.emplace(tensor_, std::move(entry_));
    return true;
  }

  const SafetensorsLimits& limits_;
  Place place_ = Place::kNothing;
  absl::Status status_;
  Entries entries_;
  bool metadata_ = false;
  std::string tensor_;  // whose entry is being read
  std::string field_;
  std::vector<std::string> fields_seen_;
  SafetensorsFile::Entry entry_;
  std::vector<uint64_t> shape_;
  std::vector<uint64_t> offsets_;
};

absl::Status EntryError(const std::string& name, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(
      "tensor '", absl::CHexEscape(name.substr(0, 64)), "': ", what));
}

// The tensors must follow each other without gap or overlap.
absl::Status CheckOffsets(const Entries& entries, uint64_t data_bytes,
                          const SafetensorsLimits& limits) {
  std::vector<const Entries::value_type*> order;
  for (const auto& entry : entries) {
    const SafetensorsFile::Entry& tensor = entry.second;
    const auto elements = static_cast<uint64_t>(tensor.shape.num_elements());
    const auto bytes =
        elements * static_cast<uint64_t>(SafetensorsElementBytes(tensor.dtype));
    if (tensor.begin > tensor.end || tensor.end > data_bytes) {
      return EntryError(
          entry.first,
          absl::StrCat("data_offsets: expected 0 <= begin <= end <= ",
                       data_bytes, ", got ", tensor.begin, ", ", tensor.end));
    }
    if (tensor.end - tensor.begin != bytes) {
      return EntryError(
          entry.first,
          absl::StrCat("data_offsets: expected ", bytes, " bytes for ",
                       tensor.dtype, " ", tensor.shape.ToString(), ", got ",
                       tensor.end - tensor.begin));
    }
    if (elements * sizeof(float) >
        static_cast<uint64_t>(limits.max_tensor_bytes)) {
      return EntryError(
          entry.first,
          absl::StrCat(elements, " elements are more than the ", "limit of ",
                       limits.max_tensor_bytes, " bytes"));
    }
    order.push_back(&entry);
  }
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::pair(a->second.begin, a->second.end) <
           std::pair(b->second.begin, b->second.end);
  });
  uint64_t expected = 0;
  for (const auto* entry : order) {
    if (entry->second.begin != expected) {
      return EntryError(entry->first,
                        absl::StrCat("data_offsets: expected to begin at ",
                                     expected, ", where the one before ends; ",
                                     "got ", entry->second.begin));
    }
    expected = entry->second.end;
  }
  if (expected == data_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the tensors end at byte ", expected, " of ", data_bytes));
}

}  // namespace

int SafetensorsElementBytes(std::string_view dtype) {
  for (const TypeSize& type : kTypes) {
    if (type.name == dtype) return type.bytes;
  }
  return 0;
}

absl::StatusOr<Entries> ParseSafetensorsHeader(
    std::string_view json, uint64_t data_bytes,
    const SafetensorsLimits& limits) {
  HeaderReader reader(limits);
  nlohmann::json::sax_parse(json, &reader);
  BASIN_ASSIGN_OR_RETURN(Entries entries, std::move(reader).Take());
  BASIN_RETURN_IF_ERROR(CheckOffsets(entries, data_bytes, limits));
  return entries;
}

}  // namespace basin::internal
