# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
#
# What a module author installs: libdray.a, the public headers, a CMake package, dray.pc; and for the
# operator the binary. Included once target `dray` (handlers/sdk) exists.

include(CMakePackageConfigHelpers)

if(NOT TARGET dray::dray)
    add_library(dray::dray ALIAS dray)
endif()
target_link_libraries(dray PUBLIC dray_headers)
# LTO objects bind the archive to one compiler: a module author may use another.
set_target_properties(dray PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)

install(TARGETS dray dray_headers EXPORT dray-targets FILE_SET HEADERS COMPONENT sdk ARCHIVE COMPONENT sdk)
install(
    EXPORT dray-targets
    NAMESPACE dray::
    DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/dray"
    COMPONENT sdk
)
configure_package_config_file(
    "${PROJECT_SOURCE_DIR}/cmake/dray-config.cmake.in"
    "${PROJECT_BINARY_DIR}/cmake/dray-config.cmake"
    INSTALL_DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/dray"
)
write_basic_package_version_file(
    "${PROJECT_BINARY_DIR}/cmake/dray-config-version.cmake"
    COMPATIBILITY SameMinorVersion
)
install(
    FILES
        "${PROJECT_BINARY_DIR}/cmake/dray-config.cmake"
        "${PROJECT_BINARY_DIR}/cmake/dray-config-version.cmake"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/dray"
    COMPONENT sdk
)

# The .pc finds its prefix from where it lies, so that it stays right after `cmake --install --prefix`.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_INCLUDEDIR BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}"
    OUTPUT_VARIABLE DRAY_PC_INCLUDEDIR)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_LIBDIR BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}"
    OUTPUT_VARIABLE DRAY_PC_LIBDIR)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
    BASE_DIRECTORY "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" OUTPUT_VARIABLE DRAY_PC_UP)
configure_file("${PROJECT_SOURCE_DIR}/cmake/dray.pc.in" "${PROJECT_BINARY_DIR}/cmake/dray.pc" @ONLY)
install(
    FILES "${PROJECT_BINARY_DIR}/cmake/dray.pc"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig"
    COMPONENT sdk
)

if(TARGET dray_cli)
    install(TARGETS dray_cli RUNTIME COMPONENT bin)
endif()
