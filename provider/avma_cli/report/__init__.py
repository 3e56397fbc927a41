"""`avma report`: what it reads, and a module for each form in which it shows an inventory."""
