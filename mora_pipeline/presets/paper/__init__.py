"""The published recipe: LINE, LightGCN and contrastive alignment."""
