# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
#
# The one place that knows what distributions call our libraries. Everything else says dep::<name>.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# dray_dependency(<name> <apt package> <pkg-config name>...): the first name that is found counts.
# What is missing is collected, so that one run names everything that has to be installed.
function(dray_dependency name package)
    foreach(module IN LISTS ARGN)
        pkg_check_modules(DEP_${name} QUIET IMPORTED_TARGET ${module})
        if(DEP_${name}_FOUND)
            add_library(dep_${name} INTERFACE)
            target_link_libraries(dep_${name} INTERFACE PkgConfig::DEP_${name})
            add_library(dep::${name} ALIAS dep_${name})
            return()
        endif()
        # pkg_check_modules remembers a miss; the next name has to be looked for again.
        unset(__pkg_config_checked_DEP_${name} CACHE)
    endforeach()
    set_property(GLOBAL APPEND PROPERTY DRAY_MISSING_PACKAGES ${package})
    set_property(GLOBAL APPEND_STRING PROPERTY DRAY_MISSING_TEXT
        "  ${name}: no pkg-config file \"${ARGN}\"; apt-get install ${package}\n")
endfunction()

dray_dependency(rdkafka librdkafka-dev rdkafka)
dray_dependency(nats libnats-dev libnats)
dray_dependency(msgpack libmsgpack-dev msgpack-c msgpack)
dray_dependency(urcu liburcu-dev liburcu-qsbr)
dray_dependency(urcu_memb liburcu-dev liburcu-memb liburcu)
dray_dependency(urcu_cds liburcu-dev liburcu-cds)
dray_dependency(sodium libsodium-dev libsodium)
dray_dependency(microhttpd libmicrohttpd-dev libmicrohttpd)
dray_dependency(yaml libyaml-dev yaml-0.1)
dray_dependency(xxhash libxxhash-dev libxxhash)
dray_dependency(curl libcurl4-openssl-dev libcurl)
if(BUILD_TESTING)
    dray_dependency(cmocka libcmocka-dev cmocka)
endif()

get_property(missing_text GLOBAL PROPERTY DRAY_MISSING_TEXT)
if(missing_text)
    get_property(missing GLOBAL PROPERTY DRAY_MISSING_PACKAGES)
    list(REMOVE_DUPLICATES missing)
    list(JOIN missing " " missing)
    message(FATAL_ERROR "Libraries are missing:\n${missing_text}All at once: apt-get install ${missing}")
endif()
