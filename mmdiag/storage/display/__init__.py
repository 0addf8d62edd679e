"""Display stacks: images as they are to be looked at, beside the arrays that networks read."""
