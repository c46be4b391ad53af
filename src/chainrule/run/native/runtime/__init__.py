"""The machine at hand: LLVM, functions of other libraries, object code kept, threads."""
