# Files that the binary carries. embed_files(<name> <root> <file>… [ROOT <root> <file>…]…) writes <name>.c,
# which defines
#   const struct embedded_file <name>[] (server/embedded.h), ended by a row whose path is NULL,
# with each path relative to the root it was listed under, and sets <name> to the path of that source in the
# caller's scope. A later root may be in the build folder, its files made by custom commands.
function(embed_files name)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${name}.c)
  set(list_file ${CMAKE_CURRENT_BINARY_DIR}/${name}.list)
  set(lines "")
  set(files "")
  set(root "")
  foreach(argument IN LISTS ARGN)
    if(argument STREQUAL "ROOT")
      set(root "")
    elseif(NOT root)
      set(root ${argument})
    else()
      file(RELATIVE_PATH path ${root} ${argument})
      string(APPEND lines "${path}=${argument}\n")
      list(APPEND files ${argument})
    endif()
  endforeach()
  file(WRITE ${list_file}.new "${lines}")
  file(COPY_FILE ${list_file}.new ${list_file} ONLY_IF_DIFFERENT)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -D NAME=${name} -D LIST=${list_file} -D OUTPUT=${output}
            -P ${PROJECT_SOURCE_DIR}/cmake/WriteEmbedded.cmake
    DEPENDS ${files} ${list_file} ${PROJECT_SOURCE_DIR}/cmake/WriteEmbedded.cmake
    VERBATIM)
  set(${name} ${output} PARENT_SCOPE)
endfunction()
