#ifndef BASIN_CORE_MODEL_SAFETENSORS_H_
#define BASIN_CORE_MODEL_SAFETENSORS_H_

// Reads .safetensors files: eight bytes with the length of a JSON header, the
// header, and the elements of the tensors one after the other
// (https://github.com/huggingface/safetensors). The files are untrusted: a
// header is checked as a whole before memory is taken for any tensor.

#include <cstdint>
#include <istream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "core/tensor/tensor.h"

namespace basin {

// What a file may ask for. All limits are inclusive.
struct SafetensorsLimits {
  int64_t max_file_bytes = int64_t{1} << 33;
  int64_t max_header_bytes = 100'000'000;
  int64_t max_tensors = 100'000;
  int64_t max_name_bytes = 1024;
  // Memory for one tensor as float32.
  int64_t max_tensor_bytes = int64_t{1} << 33;
};

// One file whose header was read and checked. Movable. Not thread-safe.
class SafetensorsFile {
 public:
  struct Entry {
    std::string dtype;  // "F32", "BF16", ...
    Shape shape;
    uint64_t begin = 0;  // bytes, from the start of the data
    uint64_t end = 0;
  };

  // NotFound if there is no such file; InvalidArgument if it is not one, with
  // the tensor and field, what was expected and what came: overlapping or
  // missing bytes, byte counts that are not those of shape and type, offsets
  // outside of the file, names that come twice.
  static absl::StatusOr<SafetensorsFile> Open(
      const std::string& path, const SafetensorsLimits& limits = {});
  // As Open(), of a stream that can seek. `name` is for errors.
  static absl::StatusOr<SafetensorsFile> Read(
      std::unique_ptr<std::istream> stream, const std::string& name,
      const SafetensorsLimits& limits = {});

  const std::map<std::string, Entry>& entries() const { return entries_; }
  bool Has(const std::string& tensor) const {
    return entries_.contains(tensor);
  }
  // Elements of all tensors.
  int64_t element_count() const;

  // The elements of a tensor of F16, BF16, F32, F64, integers or BOOL as
  // float32, or as `dtype`, kFloat64. NotFound lists the names there are;
  // InvalidArgument for other types.
  absl::StatusOr<Tensor> Load(const std::string& tensor,
                              DType dtype = DType::kFloat32);
  // As Load(), of this shape. InvalidArgument if it has another one.
  absl::StatusOr<Tensor> Load(const std::string& tensor, const Shape& shape,
                              DType dtype = DType::kFloat32);

 private:
  SafetensorsFile() = default;

  absl::Status ReadHeader(const SafetensorsLimits& limits);

  std::unique_ptr<std::istream> stream_;
  std::string name_;
  uint64_t data_begin_ = 0;  // of the first tensor, in the file
  std::map<std::string, Entry> entries_;
};

}  // namespace basin

#endif  // BASIN_CORE_MODEL_SAFETENSORS_H_
