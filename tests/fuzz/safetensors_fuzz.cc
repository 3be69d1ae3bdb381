// Any bytes as a .safetensors file: the header is read, and every tensor,
// within limits that keep an honest run small.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <sstream>
#include <string>

#include "core/model/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  basin::SafetensorsLimits limits;
  limits.max_file_bytes = 1 << 20;
  limits.max_header_bytes = 1 << 18;
  limits.max_tensors = 100;
  limits.max_tensor_bytes = 1 << 22;
  auto stream = std::make_unique<std::istringstream>(
      std::string(reinterpret_cast<const char*>(data), size));
  auto file = basin::SafetensorsFile::Read(std::move(stream), "fuzz", limits);
  if (!file.ok()) return 0;
  for (const auto& [name, entry] : file->entries()) {
    // What the header promised must be there.
    if (!file->Load(name).ok()) __builtin_trap();
  }
  return 0;
}
