"""The instance mix at scale, by column generation."""
