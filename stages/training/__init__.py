"""What the stage `train` and imports of released checkpoints share."""
