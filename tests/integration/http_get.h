#ifndef BASIN_TESTS_INTEGRATION_HTTP_GET_H_
#define BASIN_TESTS_INTEGRATION_HTTP_GET_H_

#include <string>

namespace basin::testing {

// The answer, headers included, of GET `path` at "127.0.0.1:PORT"; empty if
// nobody answers.
std::string HttpGet(const std::string& address, const std::string& path);

}  // namespace basin::testing

#endif  // BASIN_TESTS_INTEGRATION_HTTP_GET_H_
