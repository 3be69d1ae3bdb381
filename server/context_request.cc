#include "server/context_request.h"

#include <algorithm>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "core/base/status_macros.h"
#include "server/tensor_convert.h"

#include "basin/v1/common.pb.h"

namespace basin {
namespace {

bool HasInput(const ModelInfo& model, absl::string_view name) {
  return std::any_of(
      model.context.begin(), model.context.end(),
      [name](const ContextInput& input) { return input.name == name; });
}

absl::Status UnknownInput(absl::string_view field, const ModelInfo& model) {
  const auto append = [](std::string* out, const ContextInput& input) {
    absl::StrAppend(out, input.name);
  };
  const std::string names = absl::StrJoin(model.context, ", ", append);
  return absl::NotFoundError(absl::StrCat(
      field, ": ", model.name, " has ",
      names.empty() ? "no context inputs" : absl::StrCat("only ", names)));
}

absl::Status CheckNames(const ContextFields& fields, const ModelInfo& model) {
  for (const auto& [name, tensor] : fields.tensors) {
    if (HasInput(model, name)) continue;
    return UnknownInput(absl::StrCat("context.", name), model);
  }
  const std::string label(kLabelInput);
  if (!fields.label.has_value()) return absl::OkStatus();
  if (!HasInput(model, label)) return UnknownInput("label", model);
  if (fields.tensors.contains(label)) {
    return absl::InvalidArgumentError(
        "label: expected either label or context.label, got both");
  }
  return absl::OkStatus();
}

// The rows that the request gives for one input; one row of its default if
// it gives none.
absl::StatusOr<FloatRows> RowsOf(const ContextInput& input,
                                 const ContextFields& fields) {
  const std::string field = absl::StrCat("context.", input.name);
  const auto given = fields.tensors.find(input.name);
  if (given != fields.tensors.end()) {
    BASIN_ASSIGN_OR_RETURN(
        FloatRows rows,
        RowsFromProto(given->second,
                      {field, input.shape, 1, fields.rows, "the request's"}));
    if (rows.rows == 1 || rows.rows == fields.rows) return rows;
    return absl::InvalidArgumentError(
        absl::StrCat(field, ".shape: expected 1 row or ", fields.rows,
                     ", one for each of the request's, got ", rows.rows));
  }
  const auto elements = static_cast<size_t>(input.shape.num_elements());
  if (input.name == kLabelInput && fields.label.has_value()) {
    return FloatRows{
        1, std::vector<float>(elements, static_cast<float>(*fields.label))};
  }
  if (input.default_value.has_value()) {
    return FloatRows{1, std::vector<float>(elements, *input.default_value)};
  }
  return absl::InvalidArgumentError(absl::StrCat(
      field, ": expected ", std::string(Name(input.dtype)), " [1 or ",
      fields.rows, "] rows of shape ", input.shape.ToString(),
      ", got nothing, and it has no default"));
}

}  // namespace

absl::StatusOr<std::vector<float>> DecodeContext(const ContextFields& fields,
                                                 const ModelInfo& model) {
  BASIN_RETURN_IF_ERROR(CheckNames(fields, model));
  std::vector<FloatRows> parts;
  int64_t rows = 1;
  for (const ContextInput& input : model.context) {
    BASIN_ASSIGN_OR_RETURN(FloatRows part, RowsOf(input, fields));
    rows = std::max(rows, part.rows);
    parts.push_back(std::move(part));
  }
  const auto stride = static_cast<size_t>(model.context_dimension);
  // One input with a row for each makes rows of all of them.
  const int64_t row_bytes =
      model.context_dimension * static_cast<int64_t>(sizeof(float));
  if (row_bytes > 0 && rows > fields.max_bytes / row_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("context: expected at most ", fields.max_bytes,
                     " bytes (max_message_bytes), got ", rows, " rows of ",
                     row_bytes, " bytes; send them in several requests"));
  }
  std::vector<float> context(static_cast<size_t>(rows) * stride);
  for (size_t i = 0; i < parts.size(); ++i) {
    const ContextInput& input = model.context[i];
    const int64_t elements = input.shape.num_elements();
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t from = parts[i].rows == 1 ? 0 : row;
      std::copy_n(
          parts[i].values.begin() + from * elements, elements,
          context.begin() + row * model.context_dimension + input.offset);
    }
  }
  return context;
}

}  // namespace basin
