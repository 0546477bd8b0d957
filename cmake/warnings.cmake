# Warnings and sanitizers for every target of this project, and for no target of a program that embeds it.
add_library(mixtral_build_flags INTERFACE)
target_compile_options(mixtral_build_flags INTERFACE -Wall -Wextra $<$<BOOL:${MIXTRAL_WERROR}>:-Werror>)
# GCC 12 and 13 warn inside std::string's own operators (GCC bug 105651).
target_compile_options(mixtral_build_flags INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict>)
if(MIXTRAL_SANITIZE)
  target_compile_options(mixtral_build_flags INTERFACE
    -fsanitize=${MIXTRAL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  # clang 14 has no __SANITIZE_ADDRESS__ by which sources could tell.
  target_compile_definitions(mixtral_build_flags INTERFACE MIXTRAL_SANITIZED=1)
  target_link_options(mixtral_build_flags INTERFACE -fsanitize=${MIXTRAL_SANITIZE})
endif()
