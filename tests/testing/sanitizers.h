#ifndef BASIN_TESTS_TESTING_SANITIZERS_H_
#define BASIN_TESTS_TESTING_SANITIZERS_H_

namespace basin::testing {

// Whether AddressSanitizer or ThreadSanitizer is on. They keep freed memory,
// or memory about memory, so what is resident says nothing there.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitizedMemory = true;
#else
inline constexpr bool kSanitizedMemory = false;
#endif

}  // namespace basin::testing

#endif  // BASIN_TESTS_TESTING_SANITIZERS_H_
