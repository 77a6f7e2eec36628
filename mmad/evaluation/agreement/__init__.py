"""Agreement of annotators: matched annotations, kappa, consensus."""
