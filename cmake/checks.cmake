# What a tool can check is a test.  Label `check`: they need to run in one preset only.

find_program(PYTHON3 python3)
find_program(CLANG_FORMAT clang-format)
find_program(MANDOC mandoc)
find_program(SHELLCHECK shellcheck)

function(check name)
    add_test(NAME check.${name} COMMAND ${ARGN} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(check.${name} PROPERTIES LABELS check TIMEOUT 120)
endfunction()

if(PYTHON3)
    check(floors ${PYTHON3} tools/floors.py)
    check(floors_finds_faults ${PYTHON3} tests/checks/test_floors.py)
    check(style ${PYTHON3} tools/style.py)
    check(style_finds_faults ${PYTHON3} tests/checks/test_style.py)
    check(architecture ${PYTHON3} tools/tree.py)
    check(architecture_finds_faults ${PYTHON3} tests/checks/test_tree.py)
    check(tally_counts ${PYTHON3} tests/checks/test_tally.py)
endif()
if(CLANG_FORMAT)
    check(format tools/format.sh --check)
endif()

file(GLOB pages docs/man/*.[1578])
if(MANDOC AND pages)
    check(man ${MANDOC} -T lint -W warning ${pages})
endif()

file(GLOB scripts tools/*.sh bench/*.sh examples/*.sh .ci/run)
if(SHELLCHECK)
    check(shell ${SHELLCHECK} ${scripts})
endif()
