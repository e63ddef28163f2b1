# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
#
# Target `product`: the binary and every library under handlers/, but no test program. The release
# build preset makes this target only.

function(dray_collect_libraries dir ret_targets)
    get_property(targets DIRECTORY "${dir}" PROPERTY BUILDSYSTEM_TARGETS)
    get_property(subdirs DIRECTORY "${dir}" PROPERTY SUBDIRECTORIES)
    set(found)
    foreach(target IN LISTS targets)
        get_target_property(type ${target} TYPE)
        if(type MATCHES "^(MODULE|SHARED|STATIC)_LIBRARY$")
            list(APPEND found ${target})
        endif()
    endforeach()
    foreach(subdir IN LISTS subdirs)
        dray_collect_libraries("${subdir}" deeper)
        list(APPEND found ${deeper})
    endforeach()
    set(${ret_targets} ${found} PARENT_SCOPE)
endfunction()

add_custom_target(product)
if(TARGET dray_cli)
    add_dependencies(product dray_cli dray_pages)
endif()
if(DRAY_HANDLERS AND EXISTS "${PROJECT_SOURCE_DIR}/handlers/CMakeLists.txt")
    dray_collect_libraries("${PROJECT_SOURCE_DIR}/handlers" libraries)
    if(libraries)
        add_dependencies(product ${libraries})
    endif()
endif()
