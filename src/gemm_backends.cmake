# The optional GEMM back ends: one source each; MIXTRAL_HAS_x tells kernels/gemm_select.cpp.
set(MIXTRAL_HAS_ONEDNN 0)
set(MIXTRAL_HAS_OPENBLAS 0)
set(MIXTRAL_HAS_EIGEN 0)

if(MIXTRAL_WITH_EIGEN)
  target_sources(mixtral PRIVATE kernels/gemm_eigen.cpp)
  target_link_libraries(mixtral PRIVATE $<BUILD_INTERFACE:Eigen3::Eigen>)
  set(MIXTRAL_HAS_EIGEN 1)
endif()

if(MIXTRAL_WITH_OPENBLAS)
  target_sources(mixtral PRIVATE kernels/gemm_openblas.cpp)
  target_link_libraries(mixtral PRIVATE OpenBLAS::OpenBLAS)
  set(MIXTRAL_HAS_OPENBLAS 1)
endif()

if(MIXTRAL_WITH_ONEDNN)
  target_sources(mixtral PRIVATE kernels/gemm_onednn.cpp)
  target_link_libraries(mixtral PRIVATE oneDNN::oneDNN)
  set(MIXTRAL_HAS_ONEDNN 1)
endif()

set_source_files_properties(kernels/gemm_select.cpp PROPERTIES COMPILE_DEFINITIONS
  "MIXTRAL_HAS_ONEDNN=${MIXTRAL_HAS_ONEDNN};MIXTRAL_HAS_OPENBLAS=${MIXTRAL_HAS_OPENBLAS};MIXTRAL_HAS_EIGEN=${MIXTRAL_HAS_EIGEN}")
