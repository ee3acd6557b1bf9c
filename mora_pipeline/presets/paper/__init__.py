"""MoRA's own recipe: LINE, LightGCN and contrastive alignment."""
