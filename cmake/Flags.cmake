# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
#
# Language level, warnings, hardening and sanitizers, once, on one INTERFACE target.
# dray_defaults(<target>...) puts it on a target; the exported library never carries it.

include(CheckCCompilerFlag)

# target_compile_features(c_std_11) alone gives -std=c17 on gcc 12: these three together give C11.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

if(NOT CMAKE_C_COMPILER_ID MATCHES "^(GNU|Clang)$")
    message(FATAL_ERROR "dray is built with gcc or clang, not with ${CMAKE_C_COMPILER_ID}")
endif()

add_library(dray_flags INTERFACE)

target_compile_options(
    dray_flags
    INTERFACE
        -Wall
        -Wextra
        -Wpedantic
        -Wshadow
        -Wconversion
        -Wsign-conversion
        -Wstrict-prototypes
        -Wmissing-prototypes
        -Wold-style-definition
        -Wvla
        -Wcast-qual
        -Wwrite-strings
        -Wundef
        -Wformat=2
        -Wdouble-promotion
        -Wimplicit-fallthrough
        $<$<C_COMPILER_ID:GNU>:-Wlogical-op>
        $<$<C_COMPILER_ID:GNU>:-Wduplicated-cond>
        $<$<C_COMPILER_ID:GNU>:-Wduplicated-branches>
        $<$<C_COMPILER_ID:GNU>:-Wformat-signedness>
        $<$<C_COMPILER_ID:Clang>:-Wthread-safety>
        $<$<C_COMPILER_ID:Clang>:-Wcomma>
        $<$<C_COMPILER_ID:Clang>:-Wshorten-64-to-32>
        $<$<BOOL:${DRAY_WERROR}>:-Werror>
        -fno-common
        -fno-omit-frame-pointer
        -fstack-protector-strong
        -fstack-clash-protection
)

# gcc sees null dereferences through the sanitizers' own checks that are none.
if(NOT DRAY_SANITIZE)
    target_compile_options(dray_flags INTERFACE -Wnull-dereference)
endif()

check_c_compiler_flag(-fcf-protection=full DRAY_HAS_CF_PROTECTION)
if(DRAY_HAS_CF_PROTECTION AND NOT DRAY_SANITIZE)
    target_compile_options(dray_flags INTERFACE -fcf-protection=full)
endif()
target_link_options(dray_flags INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)

# Our assertions stay on in release, so nothing here defines NDEBUG.
set(CMAKE_C_FLAGS_DEBUG "-Og -g")
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
target_compile_definitions(dray_flags INTERFACE $<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)

set(DRAY_LTO OFF)
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT DRAY_SANITIZE AND NOT DRAY_FUZZ)
    include(CheckIPOSupported)
    check_ipo_supported(RESULT DRAY_LTO LANGUAGES C)
endif()

if(DRAY_SANITIZE STREQUAL "address")
    set(sanitizer_options -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(DRAY_SANITIZE STREQUAL "thread")
    set(sanitizer_options -fsanitize=thread -fno-sanitize-recover=all)
    # The sanitizer does not model fences; gcc says so at each one. C11 atomics carry the orders here.
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
        target_compile_options(dray_flags INTERFACE -Wno-tsan)
    endif()
elseif(DRAY_SANITIZE)
    message(FATAL_ERROR "DRAY_SANITIZE is address, thread or empty, not \"${DRAY_SANITIZE}\"")
endif()
if(DRAY_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
        message(FATAL_ERROR "DRAY_FUZZ needs clang: use the preset fuzz")
    endif()
    # Coverage for every object; only the fuzz programs link libFuzzer's main.
    list(APPEND sanitizer_options -fsanitize=fuzzer-no-link)
endif()
if(sanitizer_options)
    target_compile_options(dray_flags INTERFACE ${sanitizer_options})
    target_link_options(dray_flags INTERFACE ${sanitizer_options})
endif()

target_compile_definitions(dray_flags INTERFACE DRAY_VERSION="${PROJECT_VERSION}")
if(DRAY_POOL STREQUAL "malloc")
    target_compile_definitions(dray_flags INTERFACE DRI_POOL_MALLOC=1)
elseif(NOT DRAY_POOL STREQUAL "slab")
    message(FATAL_ERROR "DRAY_POOL is slab or malloc, not \"${DRAY_POOL}\"")
endif()
if(DRAY_FUZZ)
    target_compile_definitions(dray_flags INTERFACE DRAY_FUZZ=1)
endif()

# Flags of this project for a target of this project. Interface libraries have nothing to compile.
function(dray_defaults)
    foreach(target IN LISTS ARGV)
        get_target_property(type ${target} TYPE)
        if(NOT type STREQUAL "INTERFACE_LIBRARY")
            target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:dray_flags>)
            set_target_properties(${target} PROPERTIES INTERPROCEDURAL_OPTIMIZATION ${DRAY_LTO})
        endif()
    endforeach()
endfunction()

# What a target may use of the system: nothing more than C11 unless it asks.
function(dray_features target level)
    if(level STREQUAL "posix")
        target_compile_definitions(${target} PRIVATE _POSIX_C_SOURCE=200809L)
    elseif(level STREQUAL "gnu")
        target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
    elseif(NOT level STREQUAL "c11")
        message(FATAL_ERROR "${target}: features are c11, posix or gnu, not ${level}")
    endif()
endfunction()
