"""Access: who may call what. Everything about requests that is not about a pillar."""
