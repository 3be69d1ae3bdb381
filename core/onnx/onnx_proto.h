#ifndef BASIN_CORE_ONNX_ONNX_PROTO_H_
#define BASIN_CORE_ONNX_ONNX_PROTO_H_

// The messages of an ONNX file, for core/onnx only.

#include <cstdint>
#include <onnx/onnx.pb.h>
#include <string>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

namespace basin::internal {

// A name from a file, fit for an error message: short and printable.
inline std::string Quoted(absl::string_view name) {
  constexpr size_t kMaxLength = 100;
  return absl::StrCat("'", absl::CHexEscape(name.substr(0, kMaxLength)),
                      name.size() > kMaxLength ? "...'" : "'");
}

// "node 'conv1' (Conv, opset 17): ", the beginning of errors.
inline std::string NodePrefix(const onnx::NodeProto& node, int64_t opset) {
  const std::string name =
      !node.name().empty() ? Quoted(node.name())
      : node.output_size() > 0
          ? absl::StrCat("that makes ", Quoted(node.output(0)))
          : "without name";
  return absl::StrCat("node ", name, " (",
                      absl::CHexEscape(node.op_type().substr(0, 100)),
                      ", opset ", opset, "): ");
}

}  // namespace basin::internal

#endif  // BASIN_CORE_ONNX_ONNX_PROTO_H_
