#ifndef BASIN_CORE_BASE_STATUS_MACROS_H_
#define BASIN_CORE_BASE_STATUS_MACROS_H_

// Early return on errors. The packaged Abseil has no such macros.

#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

// Returns from the enclosing function if `expr`, a Status, is an error.
#define BASIN_RETURN_IF_ERROR(expr)                \
  do {                                             \
    absl::Status basin_status_ = (expr);           \
    if (!basin_status_.ok()) return basin_status_; \
  } while (false)

#define BASIN_INTERNAL_CONCAT_(a, b) a##b
#define BASIN_INTERNAL_CONCAT(a, b) BASIN_INTERNAL_CONCAT_(a, b)
#define BASIN_INTERNAL_ASSIGN_OR_RETURN(result, lhs, expr) \
  auto result = (expr);                                    \
  if (!result.ok()) return std::move(result).status();     \
  lhs = std::move(result).value()

// Assigns the value of `expr`, a StatusOr, to `lhs`, or returns its error.
#define BASIN_ASSIGN_OR_RETURN(lhs, expr) \
  BASIN_INTERNAL_ASSIGN_OR_RETURN(        \
      BASIN_INTERNAL_CONCAT(basin_result_, __LINE__), lhs, expr)

#endif  // BASIN_CORE_BASE_STATUS_MACROS_H_
