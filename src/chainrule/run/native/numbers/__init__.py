"""Text of LLVM's language for numbers: arithmetic, functions, random numbers."""
