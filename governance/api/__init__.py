"""The API of the ground: checkpoints, the loop and its story, agents, switches."""
