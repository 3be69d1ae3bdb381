#include "tests/core/scheduler/allocation_counter.h"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace basin::testing {
namespace {

thread_local int64_t allocations = 0;

}  // namespace

int64_t AllocationsOfThread() { return allocations; }

void CountAllocation() { ++allocations; }

}  // namespace basin::testing

void* operator new(std::size_t bytes) {
  basin::testing::CountAllocation();
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  basin::testing::CountAllocation();
  return std::malloc(bytes);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
