"""One example through an MLP, module by module (L4.4)."""
