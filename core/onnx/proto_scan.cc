#include "core/onnx/proto_scan.h"

#include <limits>

#include <absl/status/status.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include "core/onnx/onnx_proto.h"

namespace basin::internal {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// Rounded up from the sizes of the generated classes and of std::string, with
// the pointer that a repeated field keeps.
constexpr int64_t kMessageBytes = 384;
constexpr int64_t kStringBytes = 64;
constexpr int64_t kNumberBytes = 8;
static_assert(sizeof(onnx::GraphProto) + 8 <= kMessageBytes);
static_assert(sizeof(onnx::TensorProto) + 8 <= kMessageBytes);
static_assert(sizeof(onnx::AttributeProto) + 8 <= kMessageBytes);
// What the protobuf parser accepts.
constexpr int kMaxDepth = 100;

// The messages of onnx.proto that hold others; it is compiled for the lite
// runtime and so has no descriptors to ask.
enum class Message {
  kNone,   // numbers, which may be packed as one byte for eight
  kBytes,  // strings and arrays that need no more memory than input
  kLeaf,   // a message of strings and numbers
  kModel,
  kTraining,
  kFunction,
  kGraph,
  kNode,
  kAttribute,
  kTensor,
  kSparseTensor,
  kAnnotation,
  kValueInfo,
  kType,
  kTensorType,
  kElementType,
  kMapType,
  kShape,
};

struct Field {
  Message parent;
  int number;
  Message child;
};

constexpr Field kFields[] = {
    {Message::kModel, 7, Message::kGraph},
    {Message::kModel, 8, Message::kLeaf},
    {Message::kModel, 14, Message::kLeaf},
    {Message::kModel, 20, Message::kTraining},
    {Message::kModel, 25, Message::kFunction},
    {Message::kTraining, 1, Message::kGraph},
    {Message::kTraining, 2, Message::kGraph},
    {Message::kTraining, 3, Message::kLeaf},
    {Message::kTraining, 4, Message::kLeaf},
    {Message::kFunction, 7, Message::kNode},
    {Message::kFunction, 9, Message::kLeaf},
    {Message::kFunction, 11, Message::kAttribute},
    {Message::kGraph, 1, Message::kNode},
    {Message::kGraph, 5, Message::kTensor},
    {Message::kGraph, 11, Message::kValueInfo},
    {Message::kGraph, 12, Message::kValueInfo},
    {Message::kGraph, 13, Message::kValueInfo},
    {Message::kGraph, 14, Message::kAnnotation},
    {Message::kGraph, 15, Message::kSparseTensor},
    {Message::kNode, 5, Message::kAttribute},
    {Message::kAttribute, 4, Message::kBytes},
    {Message::kAttribute, 5, Message::kTensor},
    {Message::kAttribute, 6, Message::kGraph},
    {Message::kAttribute, 7, Message::kBytes},
    {Message::kAttribute, 10, Message::kTensor},
    {Message::kAttribute, 11, Message::kGraph},
    {Message::kAttribute, 14, Message::kType},
    {Message::kAttribute, 15, Message::kType},
    {Message::kAttribute, 22, Message::kSparseTensor},
    {Message::kAttribute, 23, Message::kSparseTensor},
    {Message::kTensor, 3, Message::kLeaf},
    {Message::kTensor, 4, Message::kBytes},
    {Message::kTensor, 9, Message::kBytes},
    {Message::kTensor, 10, Message::kBytes},
    {Message::kTensor, 13, Message::kLeaf},
    {Message::kSparseTensor, 1, Message::kTensor},
    {Message::kSparseTensor, 2, Message::kTensor},
    {Message::kAnnotation, 2, Message::kLeaf},
    {Message::kValueInfo, 2, Message::kType},
    {Message::kType, 1, Message::kTensorType},
    {Message::kType, 4, Message::kElementType},
    {Message::kType, 5, Message::kMapType},
    {Message::kType, 8, Message::kTensorType},
    {Message::kType, 9, Message::kElementType},
    {Message::kTensorType, 2, Message::kShape},
    {Message::kElementType, 1, Message::kType},
    {Message::kMapType, 2, Message::kType},
    {Message::kShape, 1, Message::kLeaf},
};

Message ChildOf(Message parent, int number) {
  for (const Field& field : kFields) {
    if (field.parent == parent && field.number == number) return field.child;
  }
  return Message::kNone;
}

bool ScanMessage(CodedInputStream& in, Message type, int depth, int64_t& bytes);

bool ScanLengthDelimited(CodedInputStream& in, Message child, int depth,
                         int64_t& bytes) {
  uint32_t length;
  if (!in.ReadVarint32(&length) ||
      length > static_cast<uint32_t>(std::numeric_limits<int>::max())) {
    return false;
  }
  const int size = static_cast<int>(length);
  if (child == Message::kNone || child == Message::kBytes) {
    bytes +=
        kStringBytes + (child == Message::kBytes ? size : size * kNumberBytes);
    return in.Skip(size);
  }
  bytes += kMessageBytes;
  const auto limit = in.PushLimit(size);
  if (in.BytesUntilLimit() < size) return false;
  if (!ScanMessage(in, child, depth + 1, bytes)) return false;
  in.PopLimit(limit);
  return true;
}

bool ScanField(CodedInputStream& in, uint32_t tag, Message type, int depth,
               int64_t& bytes) {
  uint64_t ignored;
  switch (WireFormatLite::GetTagWireType(tag)) {
    case WireFormatLite::WIRETYPE_LENGTH_DELIMITED:
      return ScanLengthDelimited(
          in, ChildOf(type, WireFormatLite::GetTagFieldNumber(tag)), depth,
          bytes);
    case WireFormatLite::WIRETYPE_VARINT:
      bytes += kNumberBytes;
      return in.ReadVarint64(&ignored);
    case WireFormatLite::WIRETYPE_FIXED64:
      bytes += kNumberBytes;
      return in.Skip(8);
    case WireFormatLite::WIRETYPE_FIXED32:
      bytes += kNumberBytes;
      return in.Skip(4);
    default:  // ONNX has no groups.
      return false;
  }
}

bool ScanMessage(CodedInputStream& in, Message type, int depth,
                 int64_t& bytes) {
  if (depth > kMaxDepth) return false;
  while (const uint32_t tag = in.ReadTag()) {
    if (!ScanField(in, tag, type, depth, bytes)) return false;
  }
  return in.ConsumedEntireMessage();
}

}  // namespace

absl::StatusOr<int64_t> EstimateParsedBytes(absl::string_view bytes) {
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) {
    return absl::InvalidArgumentError("more than 2 GiB of protobuf");
  }
  CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                      static_cast<int>(bytes.size()));
  int64_t estimate = kMessageBytes;
  if (!ScanMessage(in, Message::kModel, 0, estimate)) {
    return absl::InvalidArgumentError(
        "not an ONNX file: truncated or malformed protobuf");
  }
  return estimate;
}

}  // namespace basin::internal
