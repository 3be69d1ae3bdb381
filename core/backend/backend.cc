#include "core/backend/backend.h"

#include <utility>

#include "core/backend/bfloat16.h"
#include "core/base/status_macros.h"

namespace basin {

std::string_view Name(Precision precision) {
  switch (precision) {
    case Precision::kFloat32:
      return "float32";
    case Precision::kBFloat16:
      return "bfloat16";
    case Precision::kFloat64:
      break;
  }
  return "float64";
}

std::string BFloat16Note(const DeviceInfo& device) {
  if (device.kind != "cpu" || device.isa.find('+') != std::string::npos) {
    return "";
  }
  return "factors rounded to bfloat16, multiplied in float32: " + device.isa +
         " has no fast products of bfloat16, so this is no faster than FLOAT32";
}

absl::Status Backend::Reserve(Workspace& workspace, size_t bytes) const {
  if (workspace.size >= bytes) return absl::OkStatus();
  // First give back, so that both never exist at once.
  workspace.memory.reset();
  workspace.size = 0;
  BASIN_ASSIGN_OR_RETURN(workspace.memory, Allocate(bytes));
  workspace.size = bytes;
  return absl::OkStatus();
}

}  // namespace basin
