# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
#
# dray_module(<name> SOURCES <file>... COMMANDS <command>@<version>... [LINKS <library>...]
#             [FEATURES c11|posix|gnu] [INTERCEPTORS])
#
# Builds <build>/modules/<name>.so out of a handler's sources, which include "signatures.h": it holds
# DRAY_SIGNATURE_<COMMAND>_<VERSION> ("order.create@1.0.0": DRAY_SIGNATURE_ORDER_CREATE_1_0_0) for each
# of COMMANDS, made from the two schemas of the command.
#
# The build fails, with a sentence that says what to do, when
#   - a schema is missing, or changed while its version did not (signatures.txt beside the schemas
#     remembers what each version means);
#   - two modules export one command@version;
#   - the descriptor does not hold exactly COMMANDS, each with its signature.
#
# INTERCEPTORS: it has interceptors, so that it may have no COMMANDS; then there is no signatures.h.
#
# The schemas are in DRAY_SCHEMA_DIR (<source>/schemas), the modules go to DRAY_MODULE_DIR
# (<build>/modules). Works in this project and, by find_package(dray), in any other.

include_guard()

function(dray_module name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "INTERCEPTORS" "FEATURES" "SOURCES;COMMANDS;LINKS")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "dray_module(${name}): what is ${arg_UNPARSED_ARGUMENTS}?")
    endif()
    if(NOT name MATCHES "^[a-z0-9][a-z0-9._-]*$")
        message(FATAL_ERROR "dray_module(${name}): a module's name is of a-z 0-9 . _ -")
    endif()
    if(NOT arg_SOURCES OR NOT (arg_COMMANDS OR arg_INTERCEPTORS))
        message(FATAL_ERROR "dray_module(${name}): SOURCES and COMMANDS are needed")
    endif()

    if(NOT DRAY_SCHEMA_DIR)
        set(DRAY_SCHEMA_DIR "${PROJECT_SOURCE_DIR}/schemas")
    endif()
    if(NOT DRAY_MODULE_DIR)
        set(DRAY_MODULE_DIR "${PROJECT_BINARY_DIR}/modules")
    endif()

    if(NOT EXISTS "${DRAY_SCHEMA_DIR}/signatures.txt")
        file(TOUCH "${DRAY_SCHEMA_DIR}/signatures.txt")
    endif()

    # `signatures` adds what is new to signatures.txt; it never changes a line that is there.
    if(NOT TARGET signatures)
        add_custom_target(signatures
            COMMAND
                $<TARGET_FILE:dray::signature> lock --schemas "${DRAY_SCHEMA_DIR}"
                $<TARGET_PROPERTY:signatures,DRAY_COMMANDS>
            COMMAND_EXPAND_LISTS
            VERBATIM
        )
    endif()
    set_property(TARGET signatures APPEND PROPERTY DRAY_COMMANDS ${arg_COMMANDS})

    set(schemas)
    foreach(command IN LISTS arg_COMMANDS)
        dray_module_claim("${name}" "${command}")
        foreach(part IN ITEMS request result)
            set(schema "${DRAY_SCHEMA_DIR}/${command}.${part}.json")
            if(NOT EXISTS "${schema}")
                message(FATAL_ERROR "dray_module(${name}): ${command} needs ${schema}")
            endif()
            list(APPEND schemas "${schema}")
        endforeach()
    endforeach()

    set(generated "${PROJECT_BINARY_DIR}/signatures/${name}")
    file(MAKE_DIRECTORY "${generated}")
    set(header)
    if(arg_COMMANDS)
        set(header "${generated}/signatures.h")
    endif()
    add_custom_command(
        OUTPUT "${generated}/signatures.h"
        COMMAND
            $<TARGET_FILE:dray::signature> header --schemas "${DRAY_SCHEMA_DIR}"
            --out "${generated}/signatures.h" ${arg_COMMANDS}
        DEPENDS $<TARGET_FILE:dray::signature> "${DRAY_SCHEMA_DIR}/signatures.txt" ${schemas}
        COMMENT "Signatures of ${name}"
        VERBATIM
    )

    add_library(${name} MODULE ${arg_SOURCES} ${header})
    set_target_properties(${name} PROPERTIES
        PREFIX ""
        SUFFIX ".so"
        C_VISIBILITY_PRESET hidden
        LIBRARY_OUTPUT_DIRECTORY "${DRAY_MODULE_DIR}"
    )
    target_include_directories(${name} PRIVATE "${generated}")
    target_link_libraries(${name} PRIVATE dray::dray ${arg_LINKS})
    # A module is loaded late: thread-local storage of the initial-exec model may not be left by then.
    target_compile_options(${name} PRIVATE -ftls-model=global-dynamic)
    target_link_options(${name} PRIVATE
        LINKER:--version-script,${CMAKE_CURRENT_FUNCTION_LIST_DIR}/module.map
        LINKER:--build-id=sha1
    )
    set_property(TARGET ${name} APPEND PROPERTY
        LINK_DEPENDS "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/module.map")
    if(arg_FEATURES STREQUAL "posix")
        target_compile_definitions(${name} PRIVATE _POSIX_C_SOURCE=200809L)
    elseif(arg_FEATURES STREQUAL "gnu")
        target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
    elseif(arg_FEATURES AND NOT arg_FEATURES STREQUAL "c11")
        message(FATAL_ERROR "dray_module(${name}): FEATURES are c11, posix or gnu")
    endif()
    if(COMMAND dray_defaults)
        dray_defaults(${name})
    endif()
    if(NOT arg_COMMANDS)
        return()
    endif()
    add_custom_command(
        TARGET ${name} POST_BUILD
        COMMAND
            $<TARGET_FILE:dray::signature> module $<TARGET_FILE:${name}>
            --schemas "${DRAY_SCHEMA_DIR}" --on-failure remove ${arg_COMMANDS}
        VERBATIM
    )
endfunction()

# One command@version has one module: remembers who has it, and refuses the second.
function(dray_module_claim name command)
    if(NOT command MATCHES "^[^@/]+@[0-9]+\\.[0-9]+\\.[0-9]+[-+.0-9A-Za-z]*$")
        message(FATAL_ERROR
            "dray_module(${name}): \"${command}\" is not <command>@<version>, as order.create@1.0.0")
    endif()
    get_property(owner GLOBAL PROPERTY "DRAY_COMMAND_${command}")
    if(owner)
        message(FATAL_ERROR
            "${command} is exported by two modules, ${owner} and ${name}: a worker could not tell "
            "which one to run. Give one of them another command or another version.")
    endif()
    set_property(GLOBAL PROPERTY "DRAY_COMMAND_${command}" "${name}")
endfunction()
