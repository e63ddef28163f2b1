# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
#
# One OBJECT library per layer: the binary, the simulator and the tests link the same objects, and
# tests reach internals without exporting them.
#
# Headers are found as "mem.h" and as "base/mem.h", by -iquote: with -I, base/assert.h would hide the C
# library's <assert.h>.

# dray_layer(<layer> [FEATURES c11|posix|gnu] [SOURCES <file>...] [NEEDS <layer>...] [LINKS <lib>...])
# NEEDS are layers whose objects a program must link too; LINKS are foreign libraries.
function(dray_layer layer)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "FEATURES" "SOURCES;NEEDS;LINKS")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "dray_layer(${layer}): what is ${arg_UNPARSED_ARGUMENTS}?")
    endif()
    set(target dri_${layer})
    if(arg_SOURCES)
        add_library(${target} OBJECT ${arg_SOURCES})
        set(scope PUBLIC)
        if(arg_FEATURES)
            dray_features(${target} ${arg_FEATURES})
        endif()
        dray_defaults(${target})
    else()
        add_library(${target} INTERFACE)
        set(scope INTERFACE)
    endif()
    target_compile_options(
        ${target}
        ${scope}
            "SHELL:-iquote ${PROJECT_SOURCE_DIR}/bus"
            "SHELL:-iquote ${PROJECT_SOURCE_DIR}/bus/${layer}"
    )
    # The include paths of the layers below; their objects are linked by dray_use_layers.
    foreach(below IN LISTS arg_NEEDS)
        target_compile_options(
            ${target} ${scope} $<TARGET_PROPERTY:dri_${below},INTERFACE_COMPILE_OPTIONS>)
    endforeach()
    target_link_libraries(${target} ${scope} dray_headers Threads::Threads ${arg_LINKS})
    set_property(GLOBAL PROPERTY DRAY_LAYER_NEEDS_${layer} "${arg_NEEDS}")
    list(TRANSFORM arg_SOURCES PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/" REGEX "^[^/]")
    set_property(GLOBAL PROPERTY DRAY_LAYER_SOURCES_${layer} "${arg_SOURCES}")
endfunction()

# dray_use_layers(<target> <layer>...): links the objects of these layers and of all they need.
# Objects do not travel through an OBJECT library, so the closure is made here.
function(dray_use_layers target)
    set(todo ${ARGN})
    set(done)
    while(todo)
        list(POP_FRONT todo layer)
        if(layer IN_LIST done)
            continue()
        endif()
        list(APPEND done ${layer})
        if(NOT TARGET dri_${layer})
            message(FATAL_ERROR "${target}: there is no layer \"${layer}\"")
        endif()
        get_property(needs GLOBAL PROPERTY DRAY_LAYER_NEEDS_${layer})
        list(APPEND todo ${needs})
    endwhile()
    list(TRANSFORM done PREPEND dri_)
    target_link_libraries(${target} PRIVATE ${done})
endfunction()
