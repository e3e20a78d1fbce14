# The three functions the build is declared with, and the flags they share.

add_library(rvpn_flags INTERFACE)
target_include_directories(rvpn_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(rvpn_flags INTERFACE _GNU_SOURCE RVPN_VERSION="${PROJECT_VERSION}")
if(NOT RVPN_METER)
    target_compile_definitions(rvpn_flags INTERFACE RVPN_UNMETERED)
endif()
target_compile_options(rvpn_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
    -Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wimplicit-fallthrough -Wswitch-enum
    -fstack-protector-strong
    $<$<C_COMPILER_ID:Clang>:-Wdocumentation>
    $<$<BOOL:${RVPN_WERROR}>:-Werror>
    $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
target_link_options(rvpn_flags INTERFACE LINKER:-z,relro,-z,now)
if(RVPN_SANITIZE)
    target_compile_options(rvpn_flags INTERFACE -fsanitize=${RVPN_SANITIZE}
        -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(rvpn_flags INTERFACE -fsanitize=${RVPN_SANITIZE})
endif()
if(RVPN_FUZZ)
    target_compile_options(rvpn_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# floor(NAME FILES a.c b.c [BELOW lower floors] [LIBS libraries])
# A folder of src/ as a static library that links only what stands below it.
function(floor name)
    cmake_parse_arguments(F "" "" "FILES;BELOW;LIBS" ${ARGN})
    list(TRANSFORM F_FILES PREPEND src/${name}/)
    add_library(${name} STATIC ${F_FILES})
    target_link_libraries(${name} PUBLIC rvpn_flags ${F_BELOW} ${F_LIBS})
endfunction()

# unit_test(FLOOR MODULE [LIBS libraries] [LINK linker options])
# tests/unit/FLOOR/test_MODULE.c, linked with its own floor and those below, never one above.
function(unit_test floor module)
    if(NOT RVPN_TESTS OR RVPN_FUZZ)
        return()
    endif()
    cmake_parse_arguments(U "" "" "LIBS;LINK" ${ARGN})
    add_executable(test_${module} tests/unit/${floor}/test_${module}.c)
    target_link_libraries(test_${module} PRIVATE ${floor} ${U_LIBS} PkgConfig::CMOCKA)
    target_link_options(test_${module} PRIVATE ${U_LINK})
    target_compile_definitions(test_${module} PRIVATE
        RVPN_VECTORS="${PROJECT_SOURCE_DIR}/tests/vectors"
        RVPN_SHARED_VECTORS="${PROJECT_SOURCE_DIR}/../shared/vectors")
    add_test(NAME ${floor}.${module} COMMAND test_${module})
    set_tests_properties(${floor}.${module} PROPERTIES TIMEOUT 120 SKIP_RETURN_CODE 77)
endfunction()

# fuzz_test(FLOOR MODULE)
# tests/fuzz/fuzz_MODULE.c: a libFuzzer target in the fuzz preset; elsewhere a test that
# replays tests/corpus/MODULE.
function(fuzz_test floor module)
    if(NOT RVPN_TESTS)
        return()
    endif()
    add_executable(fuzz_${module} tests/fuzz/fuzz_${module}.c)
    target_link_libraries(fuzz_${module} PRIVATE ${floor})
    if(RVPN_FUZZ)
        target_link_options(fuzz_${module} PRIVATE -fsanitize=fuzzer)
    else()
        target_sources(fuzz_${module} PRIVATE tests/fuzz/replay.c)
        add_test(NAME corpus.${module}
            COMMAND fuzz_${module} ${PROJECT_SOURCE_DIR}/tests/corpus/${module})
        set_tests_properties(corpus.${module} PROPERTIES TIMEOUT 120)
    endif()
endfunction()
