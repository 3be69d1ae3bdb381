#ifndef BASIN_CORE_BASE_CHECK_H_
#define BASIN_CORE_BASE_CHECK_H_

// Invariants of our own code. Bad input is never a failed check: it is an
// absl::Status.

namespace basin::internal {

// Prints the place and the broken condition to stderr, then aborts.
[[noreturn]] void CheckFailed(const char* file, int line,
                              const char* condition);

}  // namespace basin::internal

#define BASIN_CHECK(condition)  \
  (static_cast<bool>(condition) \
       ? static_cast<void>(0)   \
       : ::basin::internal::CheckFailed(__FILE__, __LINE__, #condition))

#ifdef NDEBUG
#define BASIN_DCHECK(condition) static_cast<void>(sizeof(!(condition)))
#else
#define BASIN_DCHECK(condition) BASIN_CHECK(condition)
#endif

#endif  // BASIN_CORE_BASE_CHECK_H_
