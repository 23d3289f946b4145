# What a result's last bits follow from beside the spec, the data and the processor: the sources of the numerical core, the
# compiler, and how it is called. `engine_version(VARIABLE VERSION ROOT OPTIONS…)` sets VARIABLE to VERSION+HASH, with
# the first twelve hexadecimal digits of the SHA-256 of the files below ROOT/core and ROOT/include and of OPTIONS; a
# change of one of the files makes CMake configure again.
function(engine_version variable version root)
  set(new_files CONFIGURE_DEPENDS)
  if(CMAKE_SCRIPT_MODE_FILE)
    set(new_files)
  endif()
  file(GLOB_RECURSE files ${new_files} RELATIVE ${root} ${root}/core/*.[ch] ${root}/include/*.h)
  set(parts ${ARGN})
  foreach(file IN LISTS files)
    file(SHA256 ${root}/${file} digest)
    string(APPEND parts ";${file}=${digest}")
    if(NOT CMAKE_SCRIPT_MODE_FILE)
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${root}/${file})
    endif()
  endforeach()
  string(SHA256 digest "${parts}")
  string(SUBSTRING ${digest} 0 12 digest)
  set(${variable} ${version}+${digest} PARENT_SCOPE)
endfunction()
