# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
#
# dray_headers carries every public header. A header in these two folders is public by being there,
# so this is the one list that is globbed: nobody can forget to install or to check one.

set(DRAY_PUBLIC_HEADER_DIRS "${PROJECT_SOURCE_DIR}/bus/include")
if(EXISTS "${PROJECT_SOURCE_DIR}/handlers/sdk/include")
    list(APPEND DRAY_PUBLIC_HEADER_DIRS "${PROJECT_SOURCE_DIR}/handlers/sdk/include")
endif()
set(DRAY_PUBLIC_HEADERS)
foreach(dir IN LISTS DRAY_PUBLIC_HEADER_DIRS)
    file(GLOB found CONFIGURE_DEPENDS "${dir}/dray/*.h")
    list(APPEND DRAY_PUBLIC_HEADERS ${found})
endforeach()

add_library(dray_headers INTERFACE)
set_target_properties(dray_headers PROPERTIES EXPORT_NAME headers)
target_sources(
    dray_headers
    INTERFACE FILE_SET HEADERS BASE_DIRS ${DRAY_PUBLIC_HEADER_DIRS} FILES ${DRAY_PUBLIC_HEADERS}
)

# Each public header compiles alone, as C and as C++, without the project's feature macros. CMake's
# own all_verify_interface_header_sets is on too, but no default build makes it.
if(BUILD_TESTING AND PROJECT_IS_TOP_LEVEL AND DRAY_PUBLIC_HEADERS)
    enable_language(CXX)
    set_target_properties(dray_headers PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
    set_source_files_properties(${DRAY_PUBLIC_HEADERS} PROPERTIES LANGUAGE C)
    foreach(extension IN ITEMS c cpp)
        set(sources)
        foreach(header IN LISTS DRAY_PUBLIC_HEADERS)
            cmake_path(GET header STEM stem)
            set(source "${PROJECT_BINARY_DIR}/headers/${stem}.${extension}")
            file(CONFIGURE OUTPUT "${source}" CONTENT
                "#include <dray/${stem}.h>\n#include <dray/${stem}.h>\nextern int dray_header_is_alone;\n")
            list(APPEND sources "${source}")
        endforeach()
        add_library(dray_headers_${extension} OBJECT ${sources})
        target_link_libraries(dray_headers_${extension} PRIVATE dray_headers)
    endforeach()
    dray_defaults(dray_headers_c)
    target_compile_options(dray_headers_cpp PRIVATE -std=c++11 -Wall -Wextra -Wpedantic -Werror)
endif()
