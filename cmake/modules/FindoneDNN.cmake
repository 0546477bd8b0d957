# Finds oneDNN's library and header, as oneDNN::oneDNN, with the OpenMP runtime that it runs on.
# Debian's own package file can't be used: it insists on OpenCL, which the CPU engine doesn't need.
find_path(oneDNN_INCLUDE_DIR oneapi/dnnl/dnnl.hpp)
find_library(oneDNN_LIBRARY dnnl)
find_library(oneDNN_OPENMP_LIBRARY NAMES gomp libgomp.so.1)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(oneDNN
  REQUIRED_VARS oneDNN_LIBRARY oneDNN_INCLUDE_DIR oneDNN_OPENMP_LIBRARY)

if(oneDNN_FOUND AND NOT TARGET oneDNN::oneDNN)
  add_library(oneDNN::oneDNN UNKNOWN IMPORTED)
  set_target_properties(oneDNN::oneDNN PROPERTIES
    IMPORTED_LOCATION "${oneDNN_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${oneDNN_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "${oneDNN_OPENMP_LIBRARY}")
endif()
