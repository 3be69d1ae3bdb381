#ifndef BASIN_SERVER_VERSION_H_
#define BASIN_SERVER_VERSION_H_

namespace basin {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace basin

#endif  // BASIN_SERVER_VERSION_H_
