/* The files of web/ as bytes of the program; assets.c says what each is for.  CMakeLists.txt
 * names them once more, so that a change of one builds this anew. */

    .macro asset name, file
    .balign 16
    .globl asset_\name
    .hidden asset_\name
asset_\name:
    .incbin "\file"
    .globl asset_\name\()_end
    .hidden asset_\name\()_end
asset_\name\()_end:
    .byte 0
    .endm

    .section .rodata
    asset page, "index.html"
    asset script, "demo.js"
    asset style, "demo.css"
    asset icon, "favicon.svg"

    .section .note.GNU-stack, "", %progbits
