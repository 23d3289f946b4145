# Files that the binary carries. embed_files(<name> <root> <file>…) writes <name>.c, which defines
#   const struct embedded_file <name>[] (server/embedded.h), ended by a row whose path is NULL,
# with the paths relative to <root>, and sets <name> to the path of that source in the caller's scope.
function(embed_files name root)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${name}.c)
  set(list_file ${CMAKE_CURRENT_BINARY_DIR}/${name}.list)
  list(JOIN ARGN "\n" lines)
  file(WRITE ${list_file}.new "${lines}\n")
  file(COPY_FILE ${list_file}.new ${list_file} ONLY_IF_DIFFERENT)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -D NAME=${name} -D ROOT=${root} -D LIST=${list_file} -D OUTPUT=${output}
            -P ${PROJECT_SOURCE_DIR}/cmake/WriteEmbedded.cmake
    DEPENDS ${ARGN} ${list_file} ${PROJECT_SOURCE_DIR}/cmake/WriteEmbedded.cmake
    VERBATIM)
  set(${name} ${output} PARENT_SCOPE)
endfunction()
