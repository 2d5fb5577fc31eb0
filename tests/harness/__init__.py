"""What tests drive: each harness is named for what is real in it."""
