#include "tests/testing/model_files.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <onnx/onnx.pb.h>

#include <absl/strings/str_cat.h>

#include "core/base/check.h"

namespace basin::testing {

struct OnnxBuilder::Impl {
  onnx::ModelProto model;
};

namespace {

void Describe(onnx::ValueInfoProto* value, const std::string& name,
              const std::vector<int64_t>& dims) {
  value->set_name(name);
  auto* type = value->mutable_type()->mutable_tensor_type();
  type->set_elem_type(onnx::TensorProto::FLOAT);
  auto* shape = type->mutable_shape();
  for (const int64_t dim : dims) {
    if (dim < 0) {
      shape->add_dim()->set_dim_param("N");
    } else {
      shape->add_dim()->set_dim_value(dim);
    }
  }
}

}  // namespace

OnnxBuilder::OnnxBuilder() : impl_(std::make_unique<Impl>()) {
  impl_->model.set_ir_version(8);
  impl_->model.set_producer_name("basin tests");
  impl_->model.add_opset_import()->set_version(17);
  impl_->model.mutable_graph()->set_name("test");
}

OnnxBuilder::~OnnxBuilder() = default;

OnnxBuilder& OnnxBuilder::Input(const std::string& name,
                                const std::vector<int64_t>& dims) {
  Describe(impl_->model.mutable_graph()->add_input(), name, dims);
  return *this;
}

OnnxBuilder& OnnxBuilder::IntInput(const std::string& name,
                                   const std::vector<int64_t>& dims) {
  auto* input = impl_->model.mutable_graph()->add_input();
  Describe(input, name, dims);
  input->mutable_type()->mutable_tensor_type()->set_elem_type(
      onnx::TensorProto::INT64);
  return *this;
}

OnnxBuilder& OnnxBuilder::Floats(const std::string& name,
                                 const std::vector<int64_t>& dims,
                                 const std::vector<float>& values) {
  auto* tensor = impl_->model.mutable_graph()->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::FLOAT);
  for (const int64_t dim : dims) tensor->add_dims(dim);
  for (const float value : values) tensor->add_float_data(value);
  return *this;
}

OnnxBuilder& OnnxBuilder::Ints(const std::string& name,
                               const std::vector<int64_t>& values) {
  auto* tensor = impl_->model.mutable_graph()->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::INT64);
  tensor->add_dims(static_cast<int64_t>(values.size()));
  for (const int64_t value : values) tensor->add_int64_data(value);
  return *this;
}

OnnxBuilder& OnnxBuilder::Node(const std::string& op,
                               const std::vector<std::string>& inputs,
                               const std::string& output) {
  auto* node = impl_->model.mutable_graph()->add_node();
  node->set_op_type(op);
  node->set_name(absl::StrCat(op, "_", output));
  for (const std::string& input : inputs) node->add_input(input);
  node->add_output(output);
  return *this;
}

OnnxBuilder& OnnxBuilder::IntAttribute(const std::string& name, int64_t value) {
  auto* graph = impl_->model.mutable_graph();
  auto* attribute =
      graph->mutable_node(graph->node_size() - 1)->add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::INT);
  attribute->set_i(value);
  return *this;
}

OnnxBuilder& OnnxBuilder::IntsAttribute(const std::string& name,
                                        const std::vector<int64_t>& values) {
  auto* graph = impl_->model.mutable_graph();
  auto* attribute =
      graph->mutable_node(graph->node_size() - 1)->add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::INTS);
  for (const int64_t value : values) attribute->add_ints(value);
  return *this;
}

OnnxBuilder& OnnxBuilder::Output(const std::string& name,
                                 const std::vector<int64_t>& dims) {
  Describe(impl_->model.mutable_graph()->add_output(), name, dims);
  return *this;
}

std::string OnnxBuilder::Build() const {
  return impl_->model.SerializeAsString();
}

std::string QuadraticOnnx(int64_t dimension, float scale) {
  return OnnxBuilder()
      .Input("x", {-1, dimension})
      .Ints("axes", {1})
      .Floats("half", {}, {scale / 2})
      .Node("Mul", {"x", "x"}, "squares")
      .Node("ReduceSum", {"squares", "axes"}, "sum")
      .IntAttribute("keepdims", 0)
      .Node("Mul", {"sum", "half"}, "energy")
      .Output("energy", {-1})
      .Build();
}

std::string RowMixingOnnx(int64_t dimension) {
  return OnnxBuilder()
      .Input("x", {-1, dimension})
      .Ints("axes", {1})
      .Node("ReduceMean", {"x"}, "mean")
      .IntsAttribute("axes", {0})
      .IntAttribute("keepdims", 1)
      .Node("Sub", {"x", "mean"}, "centred")
      .Node("Mul", {"centred", "centred"}, "squares")
      .Node("ReduceSum", {"squares", "axes"}, "energy")
      .IntAttribute("keepdims", 0)
      .Output("energy", {-1})
      .Build();
}

std::string ClassifierOnnx(int64_t dimension, int64_t classes) {
  std::vector<float> weights;
  for (int64_t i = 0; i < dimension * classes; ++i) {
    weights.push_back(std::sin(static_cast<float>(1 + i)));
  }
  return OnnxBuilder()
      .Input("x", {-1, dimension})
      .Floats("w", {dimension, classes}, weights)
      .Node("MatMul", {"x", "w"}, "logits")
      .Output("logits", {-1, classes})
      .Build();
}

std::string GraphConfig(int64_t dimension, const std::string& more) {
  return absl::StrCat("family: GRAPH\ninput { shape: [", dimension, "] }\n",
                      more, "\n");
}

void WriteFile(const std::string& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  BASIN_CHECK(file.good());
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  BASIN_CHECK(file.good());
  return {std::istreambuf_iterator<char>(file),
          std::istreambuf_iterator<char>()};
}

void WriteModel(const std::string& repository, const std::string& name,
                int64_t version, const std::string& config,
                std::string_view onnx) {
  const std::string folder = absl::StrCat(repository, "/", name);
  const std::string version_folder = absl::StrCat(folder, "/", version);
  std::filesystem::create_directories(version_folder);
  WriteFile(absl::StrCat(folder, "/config.pbtxt"), config);
  WriteFile(absl::StrCat(version_folder, "/model.onnx"), onnx);
}

std::string DemoModelsPath() {
  return std::string(BASIN_SOURCE_DIR) + "/deploy/models";
}

}  // namespace basin::testing
