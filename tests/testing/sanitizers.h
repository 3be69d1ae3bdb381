#ifndef BASIN_TESTS_TESTING_SANITIZERS_H_
#define BASIN_TESTS_TESTING_SANITIZERS_H_

namespace basin::testing {

// Whether AddressSanitizer is on. It keeps freed memory in quarantine, so
// resident memory says nothing there.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif

}  // namespace basin::testing

#endif  // BASIN_TESTS_TESTING_SANITIZERS_H_
