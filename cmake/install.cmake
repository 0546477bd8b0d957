# What `cmake --install` gives: headers, libraries, the command, and package files for CMake and
# pkg-config. These find the installed files relative to themselves, so the tree may be moved.
include(CMakePackageConfigHelpers)
set(MIXTRAL_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/mixtral)

install(TARGETS mixtral mixtral_headers mixtral_capi EXPORT mixtral)
install(DIRECTORY include/mixtral TYPE INCLUDE FILES_MATCHING PATTERN "*.hpp")
install(FILES capi/include/mixtral.h TYPE INCLUDE)
if(TARGET mixtral_command)
  install(TARGETS mixtral_command)
endif()
install(FILES LICENSE TYPE DOC)

configure_package_config_file(cmake/mixtral-config.cmake.in mixtral-config.cmake
  INSTALL_DESTINATION ${MIXTRAL_CMAKE_DIR} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(mixtral-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/mixtral-config.cmake
              ${PROJECT_BINARY_DIR}/mixtral-config-version.cmake
        DESTINATION ${MIXTRAL_CMAKE_DIR})
install(EXPORT mixtral NAMESPACE mixtral:: FILE mixtral-targets.cmake DESTINATION ${MIXTRAL_CMAKE_DIR})
install(DIRECTORY cmake/modules DESTINATION ${MIXTRAL_CMAKE_DIR})

# The static library's own dependencies, by path: not all of them have a file for pkg-config.
set(MIXTRAL_STATIC_LIBS "$<TARGET_FILE:SentencePiece::SentencePiece>")
if(MIXTRAL_WITH_OPENBLAS)
  string(APPEND MIXTRAL_STATIC_LIBS " $<TARGET_FILE:OpenBLAS::OpenBLAS>")
endif()
if(MIXTRAL_WITH_ONEDNN)
  string(APPEND MIXTRAL_STATIC_LIBS
    " $<TARGET_FILE:oneDNN::oneDNN> $<TARGET_PROPERTY:oneDNN::oneDNN,INTERFACE_LINK_LIBRARIES>")
endif()
file(RELATIVE_PATH MIXTRAL_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
foreach(package mixtral mixtral-cpp)
  configure_file(cmake/${package}.pc.in ${package}.pc.generated @ONLY)
  file(GENERATE OUTPUT ${package}.pc INPUT ${PROJECT_BINARY_DIR}/${package}.pc.generated)
  install(FILES ${PROJECT_BINARY_DIR}/${package}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
