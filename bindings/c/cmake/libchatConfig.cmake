# find_package(libchat): the targets libchat::libchat, the shared library, and libchat::static. It finds
# them beside itself, wherever the folder with lib/, include/ and share/ lies.

get_filename_component(_libchat_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

set(_libchat_folders "${_libchat_prefix}/lib" "${_libchat_prefix}/lib64")
if(CMAKE_LIBRARY_ARCHITECTURE)
  list(PREPEND _libchat_folders "${_libchat_prefix}/lib/${CMAKE_LIBRARY_ARCHITECTURE}")
endif()

find_path(libchat_INCLUDE_DIR libchat.h
  PATHS "${_libchat_prefix}/include" NO_DEFAULT_PATH)
find_library(libchat_SHARED NAMES ${CMAKE_SHARED_LIBRARY_PREFIX}chat${CMAKE_SHARED_LIBRARY_SUFFIX}
  PATHS ${_libchat_folders} NO_DEFAULT_PATH)
find_library(libchat_STATIC NAMES ${CMAKE_STATIC_LIBRARY_PREFIX}chat${CMAKE_STATIC_LIBRARY_SUFFIX}
  PATHS ${_libchat_folders} NO_DEFAULT_PATH)
mark_as_advanced(libchat_INCLUDE_DIR libchat_SHARED libchat_STATIC)

if(NOT libchat_INCLUDE_DIR OR NOT (libchat_SHARED OR libchat_STATIC))
  set(libchat_FOUND FALSE)
  set(libchat_NOT_FOUND_MESSAGE "no libchat.h and libchat library in ${_libchat_prefix}: install it again")
  return()
endif()

if(libchat_SHARED AND NOT TARGET libchat::libchat)
  add_library(libchat::libchat SHARED IMPORTED)
  set_target_properties(libchat::libchat PROPERTIES
    IMPORTED_LOCATION "${libchat_SHARED}"
    INTERFACE_INCLUDE_DIRECTORIES "${libchat_INCLUDE_DIR}")
endif()

if(libchat_STATIC AND NOT TARGET libchat::static)
  include(CMakeFindDependencyMacro)
  find_dependency(Threads)
  add_library(libchat::static STATIC IMPORTED)
  set_target_properties(libchat::static PROPERTIES
    IMPORTED_LOCATION "${libchat_STATIC}"
    INTERFACE_INCLUDE_DIRECTORIES "${libchat_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};m")
endif()

unset(_libchat_prefix)
unset(_libchat_folders)
