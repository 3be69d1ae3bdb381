#include "tests/core/onnx/onnx_test_model.h"

#include "core/base/status_macros.h"
#include "tests/testing/reference_evaluator.h"

namespace basin::testing {
namespace {

onnx::ValueInfoProto& AddInfo(
    google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>& list,
    const std::string& name) {
  onnx::ValueInfoProto& info = *list.Add();
  info.set_name(name);
  info.mutable_type()->mutable_tensor_type()->set_elem_type(
      onnx::TensorProto::FLOAT);
  return info;
}

}  // namespace

onnx::AttributeProto& Attributes::Add(const std::string& name) {
  onnx::AttributeProto& attribute = *node_.add_attribute();
  attribute.set_name(name);
  return attribute;
}

Attributes& Attributes::Int(const std::string& name, int64_t value) {
  onnx::AttributeProto& attribute = Add(name);
  attribute.set_type(onnx::AttributeProto::INT);
  attribute.set_i(value);
  return *this;
}

Attributes& Attributes::Ints(const std::string& name,
                             std::vector<int64_t> values) {
  onnx::AttributeProto& attribute = Add(name);
  attribute.set_type(onnx::AttributeProto::INTS);
  for (const int64_t value : values) attribute.add_ints(value);
  return *this;
}

Attributes& Attributes::Float(const std::string& name, float value) {
  onnx::AttributeProto& attribute = Add(name);
  attribute.set_type(onnx::AttributeProto::FLOAT);
  attribute.set_f(value);
  return *this;
}

Attributes& Attributes::String(const std::string& name,
                               const std::string& value) {
  onnx::AttributeProto& attribute = Add(name);
  attribute.set_type(onnx::AttributeProto::STRING);
  attribute.set_s(value);
  return *this;
}

onnx::TensorProto& Attributes::Tensor(const std::string& name) {
  onnx::AttributeProto& attribute = Add(name);
  attribute.set_type(onnx::AttributeProto::TENSOR);
  return *attribute.mutable_t();
}

TestModel::TestModel(int64_t opset) {
  proto_.set_ir_version(8);
  proto_.set_producer_name("test");
  proto_.add_opset_import()->set_version(opset);
  graph().set_name("graph");
}

TestModel& TestModel::Input(const std::string& name,
                            std::vector<int64_t> dims) {
  auto& info = AddInfo(*graph().mutable_input(), name);
  auto& shape = *info.mutable_type()->mutable_tensor_type()->mutable_shape();
  for (const int64_t dim : dims) {
    if (dim == -1) {
      shape.add_dim()->set_dim_param("N");
    } else {
      shape.add_dim()->set_dim_value(dim);
    }
  }
  return *this;
}

TestModel& TestModel::IntegerInput(const std::string& name,
                                   std::vector<int64_t> dims, int32_t type) {
  Input(name, std::move(dims));
  graph()
      .mutable_input(graph().input_size() - 1)
      ->mutable_type()
      ->mutable_tensor_type()
      ->set_elem_type(type);
  return *this;
}

TestModel& TestModel::Output(const std::string& name) {
  AddInfo(*graph().mutable_output(), name);
  return *this;
}

TestModel& TestModel::Weight(const std::string& name, std::vector<int64_t> dims,
                             std::vector<float> values) {
  onnx::TensorProto& tensor = *graph().add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  for (const int64_t dim : dims) tensor.add_dims(dim);
  for (const float value : values) tensor.add_float_data(value);
  return *this;
}

TestModel& TestModel::Integers(const std::string& name,
                               std::vector<int64_t> dims,
                               std::vector<int64_t> values) {
  onnx::TensorProto& tensor = *graph().add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::INT64);
  for (const int64_t dim : dims) tensor.add_dims(dim);
  for (const int64_t value : values) tensor.add_int64_data(value);
  return *this;
}

Attributes TestModel::Node(const std::string& op,
                           std::vector<std::string> inputs,
                           std::vector<std::string> outputs) {
  onnx::NodeProto& node = *graph().add_node();
  node.set_op_type(op);
  node.set_name("my_" + op);
  for (const auto& input : inputs) node.add_input(input);
  for (const auto& output : outputs) node.add_output(output);
  return Attributes(node);
}

Tensor Floats(const Shape& shape, std::vector<float> values) {
  return Tensor::Of<float>(shape, values);
}

absl::StatusOr<std::vector<Tensor>> RunOnnx(const std::string& bytes,
                                            absl::Span<const Tensor> inputs) {
  BASIN_ASSIGN_OR_RETURN(const auto model, OnnxModel::Parse(bytes));
  const Shape& first = inputs[0].shape();
  BASIN_ASSIGN_OR_RETURN(const OnnxGraph imported,
                         model->Import(first.rank() == 0 ? 1 : first.dim(0)));
  return EvaluateReference(imported.graph, inputs);
}

absl::StatusOr<Tensor> RunModel(const TestModel& model,
                                absl::Span<const Tensor> inputs) {
  BASIN_ASSIGN_OR_RETURN(std::vector<Tensor> outputs,
                         RunOnnx(model.Serialize(), inputs));
  return outputs[0];
}

std::vector<double> Elements(const Tensor& tensor) {
  const auto data = tensor.data<double>();
  return {data.begin(), data.end()};
}

}  // namespace basin::testing
