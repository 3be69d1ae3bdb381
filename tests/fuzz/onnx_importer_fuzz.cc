// Any bytes as an ONNX file: parsed, and lowered for two row counts, within
// limits that keep an honest run small.

#include <cstddef>
#include <cstdint>

#include <absl/strings/string_view.h>

#include "core/onnx/onnx_model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  basin::OnnxLimits limits;
  limits.max_file_bytes = 1 << 20;
  limits.max_parsed_bytes = 1 << 26;
  limits.max_nodes = 1000;
  limits.max_unrolled_nodes = 1000;
  limits.max_elements = 1 << 20;
  limits.max_constant_bytes = 1 << 22;
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto model = basin::OnnxModel::Parse(bytes, "", limits);
  if (!model.ok()) return 0;
  for (const int64_t rows : {1, 2}) {
    // An error is as good as a graph: only crashes and reports count.
    (*model)->Import(rows).IgnoreError();
  }
  return 0;
}
