#ifndef BASIN_TESTS_CORE_SCHEDULER_ALLOCATION_COUNTER_H_
#define BASIN_TESTS_CORE_SCHEDULER_ALLOCATION_COUNTER_H_

#include <cstdint>

namespace basin::testing {

// How often the calling thread has called operator new, which the definitions
// beside this function replace in the whole program.
int64_t AllocationsOfThread();

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_SCHEDULER_ALLOCATION_COUNTER_H_
