# Writes OUTPUT from LIST, whose lines are "<path in the program>=<file>" (see Embed.cmake). The bytes are taken
# in by the assembler, so that no generated file is larger than its list.
file(STRINGS ${LIST} lines)
set(source "#include \"server/embedded.h\"\n\n")
set(rows "")
set(number 0)
foreach(line IN LISTS lines)
  string(FIND "${line}" "=" split)
  string(SUBSTRING "${line}" 0 ${split} path)
  math(EXPR split "${split} + 1")
  string(SUBSTRING "${line}" ${split} -1 file)
  set(symbol ${NAME}_${number})
  string(APPEND source
    "__asm__(\".section .rodata\\n.balign 16\\n${symbol}_begin:\\n.incbin \\\"${file}\\\"\\n"
    "${symbol}_end:\\n.byte 0\\n.previous\\n\");\n"
    "extern const unsigned char ${symbol}_begin[], ${symbol}_end[];\n")
  string(APPEND rows "    {\"${path}\", ${symbol}_begin, ${symbol}_end},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUTPUT} "${source}\nconst struct embedded_file ${NAME}[] = {\n${rows}    {0, 0, 0},\n};\n")
