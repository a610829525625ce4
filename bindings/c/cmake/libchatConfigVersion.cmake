# The version is the header's. Until 1.0 a program that asks for a version gets the same minor one.

file(STRINGS "${CMAKE_CURRENT_LIST_DIR}/../../../include/libchat.h" _libchat_version
  REGEX "^#define CHAT_VERSION_STRING ")
string(REGEX REPLACE ".*\"([0-9.]+).*" "\\1" PACKAGE_VERSION "${_libchat_version}")
unset(_libchat_version)

set(PACKAGE_VERSION_COMPATIBLE FALSE)
set(PACKAGE_VERSION_EXACT FALSE)
if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
  set(PACKAGE_VERSION_EXACT TRUE)
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
elseif(PACKAGE_FIND_VERSION VERSION_LESS PACKAGE_VERSION)
  string(REGEX MATCH "^(0\\.[0-9]+|[1-9][0-9]*)" _libchat_series "${PACKAGE_VERSION}")
  string(REGEX MATCH "^(0\\.[0-9]+|[1-9][0-9]*)" _libchat_wanted "${PACKAGE_FIND_VERSION}")
  if(_libchat_series STREQUAL _libchat_wanted OR PACKAGE_FIND_VERSION STREQUAL "0")
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
  endif()
  unset(_libchat_series)
  unset(_libchat_wanted)
endif()
